/**
 * SQL that stores new bookings with their webhook events, in one statement: what `insertEvents` and `insertMeetings`
 * store in two. Each body is parsed once, and the JSON of all tables is taken out of it. Leaves alone whatever is not
 * new, so that it can only decline.
 */
import type postgres from 'postgres';
import { stringifyExact } from '../../exact-json.js';
import { columns, type Json, type RowOf } from '../table.js';
import { HAS_BEGUN } from '../transaction.js';
import { MARK, MARK_COLUMNS, MARK_VALUES, type Mark } from './calendly-events.js';
import { namesErased } from './erasures.js';
import { INVITEE, type InviteeRow } from './invitees.js';
import { MEETING, type MeetingRow } from './meetings.js';

const EVENT = columns({
  host: 'text not null',
  eventId: 'text not null',
  eventType: 'text not null',
  inviteeUri: 'text',
  occurredAt: 'timestamptz',
  /** Of people in it, in lower case: one who was erased must not be stored. */
  addresses: 'text[] not null',
});

/** One booking: the first invitee of a meeting of one host. */
export interface NewBooking {
  /** The body as JSON: an invitee, with its `scheduled_event`, in `payload`. */
  text: string;
  event: RowOf<typeof EVENT>;
  row: MeetingRow;
  invitee: InviteeRow;
  mark: Mark;
}

/** What became of a booking. Without a meeting and not a duplicate, nothing was done. */
export interface StoredBooking {
  event_id: string;
  user_id: string;
  meeting_id: string | null;
  duplicate: boolean;
}

/** No JSON text contains it. */
const SEPARATOR = '\u001e';
const I = 'i.';
const INPUT = [
  columns({ ...EVENT.types, ...MEETING.types, ...MARK.types }).scalars(),
  INVITEE.scalars(I),
].join(', ');

// Put together once: there is a statement for each group.
const SELECT_INPUT = `
  select x.*, null::jsonb as no_shows_removed, body, account.user_id, account.account_id, seen.signature_verified, stored.is_stored,
    ${MEETING.partsOf('event')}, ${INVITEE.partsOf('invitee', I)}`;
const STORE_INPUT = `
    -- Each is evaluated once, because of the offset, and with an index, whatever the size of the table is thought to be.
    cross join lateral (select x."unnest"::jsonb as body offset 0) as parsed
    cross join lateral (
      select body #> '{payload,scheduled_event}' as event, (body -> 'payload') - 'scheduled_event' as invitee offset 0
    ) as parts
    join lateral (
      select user_id, case kind when 'member' then organization_account_id else id end as account_id
      from calendly_accounts where calendly_uri = x.host offset 0
    ) as account on true
    left join lateral (
      select signature_verified from calendly_webhook_events where event_id = x."eventId" offset 0
    ) as seen on true
    left join lateral (
      select true as is_stored from calendly_events
      where user_id = account.user_id and external_id = x.external_id offset 0
    ) as stored on true
    where ${HAS_BEGUN} and not ${namesErased('x.addresses')}
  ), inserted as (
    insert into meetings (user_id, meeting_source, last_calendar_sync, synced_via_webhook, ${MEETING.names})
    select x.user_id, 'calendly', now(), true, ${MEETING.from('x')}
    from input x where signature_verified is null and is_stored is null
    order by external_id collate "C"
    returning id, calendly_uri
  ), booked as materialized (
    select x.*, m.id as meeting_id from input x join inserted m on m.calendly_uri = x.calendly_uri
    where signature_verified is null
  ), events as (
    insert into calendly_events (user_id, meeting_id, external_id, account_id, ${MARK_COLUMNS})
    select x.user_id, x.meeting_id, x.external_id, x.account_id, ${MARK_VALUES}
    from booked x order by x.external_id collate "C"
  ), invitees as (
    insert into meeting_invitees (meeting_id, ${INVITEE.names})
    select x.meeting_id, ${INVITEE.from('x', I)} from booked x
  ), ledger as (
    insert into calendly_webhook_events
      (event_id, event_type, payload, user_id, processed_at, invitee_uri, occurred_at, signature_verified)
    select x."eventId", x."eventType", x.body, x.user_id, now(), x."inviteeUri", x."occurredAt", true
    from booked x order by x."eventId"
  )
  select x."eventId" as event_id, x.user_id::text as user_id, b.meeting_id::text as meeting_id,
    coalesce(x.signature_verified, false) as duplicate
  from input x left join booked b on b."eventId" = x."eventId"`;

/**
 * Builds the statement that stores those bookings whose meetings, at most one booking of each, are not stored yet. A
 * booking of an unknown host is missing in the result.
 * @throws as `insertMeetings`, if another transaction stores one of them at this moment
 */
export function insertBookings(sql: postgres.ISql, bookings: NewBooking[]) {
  const scalars = bookings.map(({ event, row, invitee, mark }) => {
    const all: Json = { addresses: event.addresses };
    for (const one of [event, row, mark]) addScalars(all, one);
    addScalars(all, invitee, I);
    return all;
  });
  const bodies = bookings.map(({ text }) => text).join(SEPARATOR);
  return sql<StoredBooking[]>`
    with input as materialized (
      ${sql.unsafe(SELECT_INPUT)} from rows from (
        json_to_recordset(${stringifyExact(scalars)}::text::json) as (${sql.unsafe(INPUT)}),
        unnest(string_to_array(${bodies}::text, ${SEPARATOR}))
      ) as x ${sql.unsafe(STORE_INPUT)}`;
}

/** Adds what is neither null nor JSON. */
function addScalars(all: Json, row: object, prefix = ''): void {
  for (const [name, value] of Object.entries(row)) if (typeof value !== 'object') all[prefix + name] = value;
}
