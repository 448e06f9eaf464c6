/**
 * Which text and JSON columns of our tables may hold something about a person, for `erase`. A test compares this with
 * the schema: a new column must be declared here.
 */

/** The columns of one table. */
export interface PersonalColumns {
  /** Rows of meetings and invitees are rewritten by what they mean; in all others only the address is replaced. */
  text: readonly string[];
  /** Calendly's own JSON. */
  json: readonly string[];
  /** Ids, states and technical values. */
  other: readonly string[];
}

const URIS = ['calendly_uri', 'status'] as const;

export const PERSONAL: Readonly<Record<string, PersonalColumns>> = {
  // Only a table of ours: an existing one belongs to the application.
  users: { text: ['email', 'name'], json: [], other: [] },
  meetings: {
    text: ['title', 'join_url', 'canceled_by', 'cancel_reason'],
    json: ['location', 'raw'],
    other: [...URIS, 'meeting_source', 'external_id', 'event_type_uri', 'location_type', 'deleted_reason'],
  },
  meeting_invitees: {
    text: [
      ...['email', 'name', 'first_name', 'last_name', 'timezone', 'phone', 'canceled_by', 'cancel_reason'],
      ...['scheduled_by', 'salesforce_uuid', 'routing_form_submission_uri'],
      ...['utm_campaign', 'utm_content', 'utm_medium', 'utm_source', 'utm_term'],
    ],
    json: ['questions_and_answers', 'tracking', 'payment', 'raw'],
    other: [...URIS, 'old_invitee_uri', 'new_invitee_uri', 'canceler_type', 'scheduling_method'],
  },
  calendly_accounts: {
    text: ['email', 'name', 'timezone', 'last_error'],
    json: [],
    other: [
      'calendly_uri',
      'kind',
      'state',
      'state_reason',
      'organization_uri',
      'token_fingerprint',
      'last_error_code',
      'webhook_subscription_uri',
      'webhook_scope',
      'webhook_url',
      'webhook_key_fingerprint',
    ],
  },
  calendly_leases: { text: [], json: [], other: ['lease_owner'] },
  calendly_tokens: { text: [], json: [], other: ['kind', 'access', 'refresh', 'scope'] },
  calendly_sync_runs: { text: ['error'], json: [], other: ['mode', 'status', 'counts', 'error_code'] },
  calendly_events: {
    text: [],
    json: [],
    other: ['external_id', 'digest', 'fingerprint', 'no_shows_removed'],
  },
  calendly_pending_events: { text: ['error'], json: [], other: ['calendly_uri', 'kind'] },
  calendly_resource_states: { text: ['note'], json: ['cursors'], other: ['resource'] },
  calendly_event_types: {
    text: ['name', 'internal_note', 'description', 'profile_name'],
    json: ['custom_questions', 'raw'],
    other: [
      ...['uri', 'slug', 'kind', 'pooling_type', 'scheduling_url', 'profile_type', 'profile_owner_uri'],
      'organization_uri',
    ],
  },
  calendly_members: {
    text: ['email', 'name', 'slug', 'timezone'],
    json: ['raw'],
    other: ['uri', 'user_uri', 'role', 'organization_uri'],
  },
  calendly_groups: { text: ['name'], json: ['raw'], other: ['uri', 'organization_uri'] },
  calendly_routing_forms: {
    text: ['name'],
    json: ['questions', 'raw'],
    other: ['uri', 'status', 'organization_uri'],
  },
  calendly_routing_submissions: {
    text: ['utm_campaign', 'utm_content', 'utm_medium', 'utm_source', 'utm_term', 'salesforce_uuid'],
    json: ['answers', 'result_value', 'raw'],
    other: ['uri', 'form_uri', 'submitter_uri', 'submitter_type', 'result_type', 'organization_uri'],
  },
  calendly_contacts: {
    text: ['name', 'primary_email', 'company', 'job_title', 'timezone'],
    json: ['emails', 'phones', 'custom_fields', 'raw'],
    other: ['uri', 'organization_uri'],
  },
  calendly_webhook_rejections: { text: [], json: [], other: ['reason'] },
  calendly_erasures: { text: [], json: [], other: ['hash'] },
  calendly_erasure_key: { text: [], json: [], other: ['key'] },
  calendly_webhook_events: {
    text: ['error'],
    json: ['payload'],
    other: ['event_id', 'event_type', 'invitee_uri', 'waits_for', 'host_uris'],
  },
  calendly_migrations: {
    text: [],
    json: [],
    other: ['version', 'name', 'checksum', 'applied_by', 'made', 'before', 'marks'],
  },
};
