/** The keys that Calendly's API reference requires, checked against what the sandbox answers. */
import { expect, test } from 'vitest';
import { ask, eventsPath, readAll, testSandbox } from '../support/sandbox.js';

const USER = 'uri name slug email scheduling_url timezone avatar_url created_at updated_at resource_type';
const REQUIRED = {
  user: `${USER} current_organization locale time_notation`,
  embeddedUser: USER,
  membership: 'uri role user organization created_at updated_at',
  organization: 'uri name kind plan stage created_at updated_at',
  eventType:
    'uri name active slug scheduling_url duration kind pooling_type type color created_at updated_at ' +
    'internal_note description_plain description_html profile secret booking_method custom_questions ' +
    'deleted_at admin_managed',
  event:
    'uri name status start_time end_time event_type location invitees_counter created_at updated_at ' +
    'event_memberships event_guests',
  invitee:
    'uri email first_name last_name name status questions_and_answers timezone event created_at updated_at ' +
    'tracking text_reminder_number rescheduled old_invitee new_invitee cancel_url reschedule_url ' +
    'routing_form_submission payment no_show reconfirmation scheduling_method invitee_scheduled_by',
  cancellation: 'canceled_by reason canceler_type created_at',
  payment: 'external_id provider amount currency terms successful',
};

function missing(kind: keyof typeof REQUIRED, resource: object): string[] {
  return REQUIRED[kind].split(' ').filter((key) => !(key in resource));
}

test('every resource has the keys that the API reference requires', async () => {
  const sandbox = await testSandbox({ events: 80 });
  const { organization } = sandbox;
  const me = (await ask(sandbox, '/users/me')).body.resource;
  expect(missing('user', me)).toEqual([]);
  expect(missing('organization', (await ask(sandbox, new URL(organization).pathname)).body.resource)).toEqual(
    [],
  );
  const [membership] = (await readAll(sandbox, `/organization_memberships?organization=${organization}`))
    .rows;
  expect(missing('membership', membership)).toEqual([]);
  expect(missing('embeddedUser', membership.user)).toEqual([]);
  for (const type of (await readAll(sandbox, `/event_types?organization=${organization}`)).rows) {
    expect(missing('eventType', type)).toEqual([]);
  }
  for (const event of (await readAll(sandbox, eventsPath(sandbox, { count: '100' }))).rows) {
    expect(missing('event', event)).toEqual([]);
    if (event.status === 'canceled') expect(missing('cancellation', event.cancellation)).toEqual([]);
    for (const invitee of (await readAll(sandbox, `${new URL(event.uri).pathname}/invitees`)).rows) {
      expect(missing('invitee', invitee)).toEqual([]);
      if (invitee.payment) expect(missing('payment', invitee.payment)).toEqual([]);
    }
  }
});
