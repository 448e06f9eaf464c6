/**
 * The expected rows of every meeting of a host and its invitees, column by column, derived from the sandbox
 * and not by the code under test.
 */
import type postgres from 'postgres';
import { expect } from 'vitest';
import type { Sandbox } from '../../src/sandbox/sandbox.js';

type Loose = Record<string, unknown>;

/** Asserts that `meetings` and `meeting_invitees` hold exactly a host's meetings at Calendly. */
export async function expectTruth(
  sql: postgres.Sql,
  sandbox: Sandbox,
  { host = 0, from = -Infinity, to = Infinity }: { host?: number; from?: number; to?: number } = {},
): Promise<void> {
  const uri = sandbox.hosts[host]?.uri ?? '';
  const expected = new Map<string, { meeting: Loose; invitees: Map<string, Loose> }>();
  for (const { event, invitees } of sandbox.control.state()) {
    const start = Date.parse(event.start_time);
    if (!event.event_memberships.some(({ user }) => user === uri) || start < from || start > to) continue;
    expected.set(event.uri, {
      meeting: meetingColumns(sanitizeForPostgres(event)),
      invitees: new Map(invitees.map((one) => [one.uri, inviteeColumns(sanitizeForPostgres(one))])),
    });
  }
  const meetings = await sql<Loose[]>`
    select m.* from meetings m join calendly_accounts a on a.user_id = m.user_id
    where a.calendly_uri = ${uri} and coalesce(deleted_reason, '') not in ('gone', 'access_lost')`;
  const found = new Map<string, { meeting: Loose; invitees: Map<string, Loose> }>();
  for (const row of meetings) {
    found.set(String(row.calendly_uri), { meeting: pick(row, MEETING), invitees: new Map() });
  }
  const invitees = await sql<Loose[]>`
    select i.*, m.calendly_uri as meeting_uri from meeting_invitees i join meetings m on m.id = i.meeting_id`;
  for (const row of invitees) {
    found.get(String(row.meeting_uri))?.invitees.set(String(row.calendly_uri), pick(row, INVITEE));
  }
  expect([...found.keys()].sort(), 'which meetings').toEqual([...expected.keys()].sort());
  for (const [key, { meeting, invitees: guests }] of expected) {
    expect(found.get(key)?.meeting, `meeting ${key}`).toEqual(meeting);
    expect(sorted(found.get(key)?.invitees ?? new Map()), `invitees of ${key}`).toEqual(sorted(guests));
  }
}

const sorted = (map: Map<string, Loose>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

const MEETING = [
  'external_id',
  'title',
  'status',
  'start_time',
  'end_time',
  'event_type_uri',
  'location_type',
  'location',
  'join_url',
  'invitees_total',
  'invitees_active',
  'is_deleted',
  'deleted_reason',
  'canceled_by',
  'cancel_reason',
  'canceled_at',
  'calendly_created_at',
  'calendly_updated_at',
  'raw',
] as const;
const INVITEE = [
  'email',
  'name',
  'first_name',
  'last_name',
  'status',
  'timezone',
  'rescheduled',
  'old_invitee_uri',
  'new_invitee_uri',
  'no_show_at',
  'canceled_by',
  'cancel_reason',
  'canceled_at',
  'questions_and_answers',
  'tracking',
  'payment',
  'calendly_created_at',
  'calendly_updated_at',
  'raw',
] as const;

function meetingColumns(event: Loose): Loose {
  const cancellation = (event.cancellation ?? null) as Loose | null;
  const location = (event.location ?? null) as Loose | null;
  const counter = (event.invitees_counter ?? {}) as Loose;
  const canceled = event.status === 'canceled';
  return {
    external_id: String(event.uri).split('/').pop(),
    title: event.name ?? null,
    status: event.status,
    start_time: date(event.start_time),
    end_time: date(event.end_time),
    event_type_uri: event.event_type ?? null,
    location_type: location?.type ?? null,
    location,
    join_url: location?.join_url ?? null,
    invitees_total: counter.total,
    invitees_active: counter.active,
    is_deleted: canceled,
    deleted_reason: canceled ? 'canceled' : null,
    canceled_by: cancellation?.canceled_by ?? null,
    cancel_reason: cancellation?.reason ?? null,
    canceled_at: date(cancellation?.created_at),
    calendly_created_at: date(event.created_at),
    calendly_updated_at: date(event.updated_at),
    raw: event,
  };
}

function inviteeColumns(invitee: Loose): Loose {
  const cancellation = (invitee.cancellation ?? null) as Loose | null;
  return {
    email: invitee.email ?? null,
    name: invitee.name ?? null,
    first_name: invitee.first_name ?? null,
    last_name: invitee.last_name ?? null,
    status: invitee.status,
    timezone: invitee.timezone ?? null,
    rescheduled: invitee.rescheduled,
    old_invitee_uri: invitee.old_invitee ?? null,
    new_invitee_uri: invitee.new_invitee ?? null,
    no_show_at: date((invitee.no_show as Loose | null)?.created_at),
    canceled_by: cancellation?.canceled_by ?? null,
    cancel_reason: cancellation?.reason ?? null,
    canceled_at: date(cancellation?.created_at),
    questions_and_answers: invitee.questions_and_answers ?? null,
    tracking: invitee.tracking ?? null,
    payment: invitee.payment ?? null,
    calendly_created_at: date(invitee.created_at),
    calendly_updated_at: date(invitee.updated_at),
    raw: invitee,
  };
}

function pick(row: Loose, names: readonly string[]): Loose {
  return Object.fromEntries(names.map((name) => [name, row[name]]));
}

function date(text: unknown): Date | null {
  return typeof text === 'string' ? new Date(text) : null;
}

/** Postgres cannot store U+0000; U+FFFD is stored instead. */
function sanitizeForPostgres(value: object): Loose {
  return JSON.parse(JSON.stringify(value).replaceAll('\\u0000', '\ufffd')) as Loose;
}
