/** What the organization has beside its users and meetings: groups, routing forms with submissions, contacts. */
import { type Host, uriOf } from './organization.js';
import { pick, type Random, uuidBy } from './random.js';
import { personBy } from './samples.js';

const STAMPS = { created_at: '2024-02-01T10:00:00.000000Z', updated_at: '2024-02-01T10:00:00.000000Z' };
const NO_TRACKING = {
  utm_campaign: null as string | null,
  utm_source: null as string | null,
  utm_medium: null as string | null,
  utm_content: null as string | null,
  utm_term: null as string | null,
  salesforce_uuid: null as string | null,
};
const QUESTIONS = [
  { name: 'Email', type: 'email' },
  { name: 'What is your industry?', type: 'text' },
].map((question) => ({ ...question, uuid: question.type, required: true, answer_choices: null }));

/** A group, four forms, three submissions of the first one, and two contacts of each of three hosts. */
export function createDirectory(random: Random, organization: string, hosts: readonly Host[]) {
  const named = (kind: string, name: string, facts: object) => {
    return { uri: uriOf(kind, uuidBy(random)), name, organization, ...facts, ...STAMPS };
  };
  const forms = ['Demo request', 'Support', 'Partners', 'Press'].map((name) =>
    named('routing_forms', name, { status: 'published', questions: QUESTIONS }),
  );
  const [form] = forms;
  return {
    /** URIs of users who have left. */
    former: new Set<string>(),
    groups: [named('groups', 'Sales', { member_count: hosts.length })],
    forms,
    submissions: form
      ? [1, 2, 3].map((day) =>
          createSubmission(random, form.uri, `2024-03-0${day}T09:00:00.000Z`, personBy(random).email, {}),
        )
      : [],
    contacts: hosts
      .slice(0, 3)
      .flatMap(({ user }) =>
        [1, 2].map((day) =>
          createContact(random, user.uri, `2024-03-0${day}T12:00:00.000000Z`, personBy(random)),
        ),
      ),
  };
}

/** What somebody says in a form. */
export function createSubmission(
  random: Random,
  routing_form: string,
  created_at: string,
  email: string,
  facts: { submitter?: string | undefined; tracking?: Partial<typeof NO_TRACKING> | undefined },
) {
  const { submitter = null, tracking } = facts;
  const answers = [email, pick(random, ['Software', 'Retail', 'Health'])];
  return {
    uri: uriOf('routing_form_submissions', uuidBy(random)),
    routing_form,
    questions_and_answers: QUESTIONS.map(({ uuid, name }, index) => {
      return { question_uuid: uuid, question: name, answer: answers[index] ?? '' };
    }),
    tracking: { ...NO_TRACKING, ...tracking },
    result: submitter ? null : { type: 'custom_message', value: { headline: 'Thank you', body: '' } },
    submitter,
    submitter_type: submitter ? 'Invitee' : null,
    created_at,
    updated_at: created_at,
  };
}

/** A contact in the address book of a user. */
export function createContact(
  random: Random,
  owner: string,
  created_at: string,
  person: { name: string; email: string; timezone?: string },
) {
  return {
    owner,
    resource: {
      uri: uriOf('contacts', uuidBy(random)),
      name: person.name,
      emails: [{ email: person.email, primary: true }],
      phone_numbers: [] as object[],
      company: null as string | null,
      job_title: null as string | null,
      timezone: person.timezone ?? null,
      custom_fields: [] as object[],
      created_at,
      updated_at: created_at,
    },
  };
}
