/** Routing forms and their submissions: the only rows of people who asked and did not book. Submissions never change. */
import { resourceTable } from './resource-table.js';

export const routingForms = resourceTable({
  table: 'calendly_routing_forms',
  columns: {
    name: 'text',
    status: 'text',
    questions: 'jsonb',
    created_at: 'timestamptz',
    updated_at: 'timestamptz',
    removed_at: 'timestamptz',
  },
  from: {},
  absence: { set: 'removed_at = now()', where: 'removed_at is null' },
});

export const routingSubmissions = resourceTable({
  table: 'calendly_routing_submissions',
  columns: {
    form_uri: 'text',
    submitter_uri: 'text',
    submitter_type: 'text',
    result_type: 'text',
    result_value: 'jsonb',
    answers: 'jsonb',
    utm_source: 'text',
    utm_medium: 'text',
    utm_campaign: 'text',
    utm_content: 'text',
    utm_term: 'text',
    salesforce_uuid: 'text',
    created_at: 'timestamptz',
    updated_at: 'timestamptz',
  },
  from: {
    form_uri: 'routing_form',
    submitter_uri: 'submitter',
    result_type: 'result.type',
    result_value: 'result.value',
    answers: 'questions_and_answers',
    utm_source: 'tracking.utm_source',
    utm_medium: 'tracking.utm_medium',
    utm_campaign: 'tracking.utm_campaign',
    utm_content: 'tracking.utm_content',
    utm_term: 'tracking.utm_term',
    salesforce_uuid: 'tracking.salesforce_uuid',
  },
  absence: null,
  person: (raw) => raw.questions_and_answers,
  kept: ['uri', 'routing_form', 'submitter', 'submitter_type', 'created_at', 'updated_at'],
});
