/** SQL of `meeting_invitees`. Writers have locked the meeting's row first, so that its invitees change under one hand at a time. */
import type { InviteeRow } from '../../resources/meetings/rows.js';
import type { Sql } from '../connection.js';

/** A stored invitee: its synced columns and whose it is. */
export interface StoredInvitee extends Omit<InviteeRow, 'raw'> {
  meeting_id: string;
  raw: InviteeRow['raw'] | null;
}

/** An invitee to be written, under its meeting. */
export interface InviteeOfMeeting extends InviteeRow {
  meeting_id: string;
}

const UTC_TEXT = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"';

const COLUMNS = {
  calendly_uri: 'text',
  email: 'text',
  name: 'text',
  first_name: 'text',
  last_name: 'text',
  status: 'text',
  timezone: 'text',
  rescheduled: 'boolean',
  old_invitee_uri: 'text',
  new_invitee_uri: 'text',
  no_show_at: 'timestamptz',
  canceled_by: 'text',
  cancel_reason: 'text',
  canceled_at: 'timestamptz',
  questions_and_answers: 'jsonb',
  tracking: 'jsonb',
  payment: 'jsonb',
  calendly_created_at: 'timestamptz',
  calendly_updated_at: 'timestamptz',
  raw: 'jsonb',
} as const satisfies Record<keyof InviteeRow, string>;

const NAMES = Object.keys(COLUMNS) as (keyof InviteeRow)[];
/** The names of the columns, and the same with their types, as SQL. */
export const INVITEE_NAMES = NAMES.join(', ');
export const INVITEE_RECORD = Object.entries(COLUMNS)
  .map(([name, type]) => `${name} ${type}`)
  .join(', ');
const RECORD = `meeting_id text, ${INVITEE_RECORD}`;

/** All stored invitees of these meetings, which the caller has locked. */
export async function findInvitees(
  sql: Sql,
  userId: string,
  externalIds: string[],
): Promise<StoredInvitee[]> {
  const list = NAMES.map((name) =>
    COLUMNS[name] === 'timestamptz'
      ? `to_char(i.${name} at time zone 'utc', '${UTC_TEXT}') as ${name}`
      : `i.${name}`,
  ).join(', ');
  return sql<StoredInvitee[]>`
    select i.meeting_id::text as meeting_id, ${sql.unsafe(list)}
    from unnest(${externalIds}::text[]) as wanted (id)
    cross join lateral (
      select id from meetings
      where user_id = ${userId} and meeting_source = 'calendly' and external_id = wanted.id
      offset 0
    ) as m
    cross join lateral (select * from meeting_invitees where meeting_id = m.id offset 0) as i`;
}

/** Inserts invitees and overwrites those that are there; only what differs comes here. */
export async function upsertInvitees(sql: Sql, rows: InviteeOfMeeting[]): Promise<void> {
  if (rows.length === 0) return;
  const assignments = NAMES.filter((name) => name !== 'calendly_uri').map(
    (name) => `${name} = excluded.${name}`,
  );
  await sql`
    insert into meeting_invitees (meeting_id, ${sql.unsafe(INVITEE_NAMES)})
    select m.id, ${sql.unsafe(NAMES.map((name) => `x.${name}`).join(', '))}
    from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as x(${sql.unsafe(RECORD)})
    join meetings m on m.id::text = x.meeting_id and m.id = any(${[...new Set(rows.map((row) => row.meeting_id))]})
    on conflict (meeting_id, calendly_uri) do update set ${sql.unsafe(assignments.join(', '))}`;
}

/** Removes invitees that a complete reading of their event did not show: Calendly deleted their data. */
export async function deleteInvitees(
  sql: Sql,
  gone: { meeting_id: string; calendly_uri: string }[],
): Promise<void> {
  if (gone.length === 0) return;
  await sql`
    delete from meeting_invitees i
    using jsonb_to_recordset(${JSON.stringify(gone)}::text::jsonb) as x(meeting_id text, calendly_uri text)
    where i.meeting_id = any(${[...new Set(gone.map((one) => one.meeting_id))]})
      and i.meeting_id::text = x.meeting_id and i.calendly_uri = x.calendly_uri`;
}
