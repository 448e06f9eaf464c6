/**
 * SQL of `meeting_invitees`. Writers lock the row of its event first, so that only one at a time changes its invitees.
 */
import type { Sql } from '../connection.js';
import { columns, type RowOf, rowsAsX } from '../table.js';

/** The synced columns. */
export const INVITEE = columns({
  calendly_uri: 'text not null',
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
  questions_and_answers: 'jsonb array',
  tracking: 'jsonb object',
  payment: 'jsonb object',
  calendly_created_at: 'timestamptz',
  calendly_updated_at: 'timestamptz',
  raw: 'jsonb object not null',
});
const OF_MEETING = columns({ meeting_id: 'text not null', ...INVITEE.types });
const KEY = columns({ meeting_id: 'text not null', calendly_uri: 'text not null' });

export type InviteeRow = RowOf<typeof INVITEE>;

/** A stored invitee: its synced columns, and the meeting that it belongs to. */
export interface StoredInvitee extends Omit<InviteeRow, 'raw'> {
  meeting_id: string;
  raw: InviteeRow['raw'] | null;
}

/** Of a meeting with more invitees, `findInvitees` reads only the named ones. */
const MAX_READ = 20;

/**
 * The stored invitees of these meetings, which the caller has locked.
 * @param named of a meeting with many invitees, only these, and those who have no address, because they were erased;
 * null: always all
 */
export async function findInvitees(
  sql: Sql,
  userId: string,
  externalIds: string[],
  named: string[] | null = null,
): Promise<StoredInvitee[]> {
  if (externalIds.length === 0) return [];
  const ofEvent = sql`select * from meeting_invitees where meeting_id = e.meeting_id`;
  const invitees =
    named === null
      ? ofEvent
      : sql`
        ${ofEvent} and calendly_uri = any(${named}::text[])
        union all
        ${ofEvent} and (not e.has_many or email is null) and calendly_uri <> all(${named}::text[])`;
  return sql<StoredInvitee[]>`
    select i.meeting_id::text as meeting_id, ${sql.unsafe(INVITEE.select('i'))}
    from unnest(${externalIds}::text[]) as wanted (id)
    cross join lateral (
      select meeting_id, (
        select count(*) > ${MAX_READ} from (
          select from meeting_invitees i where i.meeting_id = calendly_events.meeting_id limit ${MAX_READ + 1}
        ) as few
      ) as has_many
      from calendly_events where user_id = ${userId} and external_id = wanted.id
      offset 0
    ) as e
    cross join lateral (${invitees} offset 0) as i`;
}

/** Inserts invitees, and overwrites those that are stored; the caller passes only rows that differ. */
export async function upsertInvitees(sql: Sql, rows: RowOf<typeof OF_MEETING>[]): Promise<void> {
  if (rows.length === 0) return;
  await sql`
    insert into meeting_invitees (meeting_id, ${sql.unsafe(INVITEE.names)})
    select e.meeting_id, ${sql.unsafe(INVITEE.from('x'))}
    from ${rowsAsX(sql, OF_MEETING, rows)}
    join calendly_events e on e.meeting_id::text = x.meeting_id and e.meeting_id = any(${meetingIds(rows)})
    on conflict (meeting_id, calendly_uri) do update set ${sql.unsafe(INVITEE.assign('excluded', 'calendly_uri'))}`;
}

/** Removes invitees that a complete reading of their event did not show: Calendly has deleted their data. */
export async function deleteInvitees(sql: Sql, gone: RowOf<typeof KEY>[]): Promise<void> {
  if (gone.length === 0) return;
  await sql`
    delete from meeting_invitees i
    using ${rowsAsX(sql, KEY, gone)}
    where i.meeting_id = any(${meetingIds(gone)})
      and i.meeting_id::text = x.meeting_id and i.calendly_uri = x.calendly_uri`;
}

function meetingIds(rows: { meeting_id: string }[]): string[] {
  return [...new Set(rows.map((row) => row.meeting_id))];
}
