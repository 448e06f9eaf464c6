/** SQL that removes a connected user: the account, and all that was synced for it, in batches. */
import type { Sql } from '../connection.js';
import { quoteName } from '../search-path.js';
import { PERSONAL } from './personal.js';
import { referrer } from './references.js';

/** What is stored for one user. */
export async function countUserRows(
  sql: Sql,
  userId: string,
  hasSyncState: boolean,
): Promise<{ meetings: number; deliveries: number }> {
  const deliveries = hasSyncState
    ? sql`(select count(*)::integer from calendly_webhook_events where user_id = ${userId})`
    : sql`0`;
  const [row] = await sql<{ meetings: number; deliveries: number }[]>`
    select (select count(*)::integer from calendly_events where user_id = ${userId}) as meetings,
      ${deliveries} as deliveries`;
  return row ?? { meetings: 0, deliveries: 0 };
}

/**
 * Deletes the lease of an account. Waits for a transaction in which a sync writes for it; every later one finds no lease
 * and writes nothing.
 */
export async function deleteLease(sql: Sql, accountId: string): Promise<void> {
  await sql`delete from calendly_leases where account_id = ${accountId}`;
}

/** Deletes an account with its tokens, pending events and log of syncs. */
export async function deleteAccount(sql: Sql, accountId: string): Promise<void> {
  await sql`delete from calendly_accounts where id = ${accountId}`;
}

/**
 * Removes up to `limit` meetings of a user: the rows that a sync inserted are deleted. Those that another integration
 * wrote, and those that the application refers to, stay without what Calendly said.
 * @returns how many were removed, and how many rows stay
 */
export async function removeMeetings(
  sql: Sql,
  userId: string,
  limit: number,
): Promise<{ removed: number; kept: number }> {
  const ids = await sql<{ id: string; stays: boolean }[]>`
    with locked as (
      select e.meeting_id, e.adopted from calendly_events e where e.user_id = ${userId}
      order by e.external_id collate "C" limit ${limit} for update
    )
    select m.id::text as id, locked.adopted or ${sql.unsafe(await referrer(sql))} is not null as stays
    from locked join meetings m on m.id = locked.meeting_id`;
  const gone = ids.filter(({ stays }) => !stays).map(({ id }) => id);
  const kept = ids.filter(({ stays }) => stays).map(({ id }) => id);
  const { text = [], json = [] } = PERSONAL.meetings ?? {};
  const cleared = [...text, ...json]
    .filter((name) => name !== 'title')
    .map((name) => `${quoteName(name)} = null`);
  await sql`delete from meeting_invitees where meeting_id = any(${kept})`;
  await sql`update meetings set ${sql.unsafe(cleared.join(', '))} where id = any(${kept})`;
  await sql`delete from calendly_events where meeting_id = any(${kept})`;
  await sql`delete from meetings where id = any(${gone})`;
  return { removed: ids.length, kept: kept.length };
}

/** Deletes up to `limit` stored deliveries of a user, and those that wait for this Calendly user. */
export async function removeDeliveries(
  sql: Sql,
  { userId, calendlyUri }: { userId: string; calendlyUri: string },
  limit: number,
): Promise<number> {
  const { count } = await sql`
    delete from calendly_webhook_events where id in (
      select id from calendly_webhook_events where user_id = ${userId} or ${calendlyUri} = any(host_uris)
      limit ${limit} for update
    )`;
  return count;
}

/** Deletes the row of `users`, if the table is ours. @returns false if it is the application's, and the row stays */
export async function removeUser(sql: Sql, userId: string): Promise<boolean> {
  const { count } = await sql`
    delete from users where id = ${userId}
      and obj_description(to_regclass('users'), 'pg_class') like 'calendly-sync %'`;
  return count > 0;
}
