/**
 * SQL of the tables of Calendly's resources beside meetings, whichever they are, and of `calendly_resource_states`: when
 * each was read for which account. A row is written only if it differs.
 */
import type { Sql } from '../connection.js';
import { type Columns, type Json, rowsAsX } from '../table.js';

/** A table with a row for each resource; `uri` and `raw` are among its columns. */
export interface ResourceColumns {
  table: string;
  columns: Columns;
}
export type ResourceRow = Json & { uri: string };

/** Who brings rows. */
export interface Source {
  accountId: string;
  organizationUri: string | null;
}

/** Whether migration 007 is applied. */
export async function hasResources(sql: Sql): Promise<boolean> {
  const [row] = await sql<{ is: boolean }[]>`
    select to_regclass('calendly_resource_states') is not null as is`;
  return row?.is ?? false;
}

/** Writes the rows that differ from what is stored. @param replace false leaves stored rows as they are */
export async function writeResources(
  sql: Sql,
  { table, columns: described }: ResourceColumns,
  rows: readonly ResourceRow[],
  { accountId, organizationUri }: Source,
  replace = true,
): Promise<{ new: number; updated: number }> {
  if (rows.length === 0) return { new: 0, updated: 0 };
  const names = sql.unsafe(described.names);
  const written = await sql<{ isNew: boolean }[]>`
    insert into ${sql(table)} as t (${names}, account_id, organization_uri)
    select distinct on (x.uri) ${sql.unsafe(described.from('x'))}, ${accountId}::bigint, ${organizationUri}::text
    from ${rowsAsX(sql, described, rows as never)}
    where not exists (
      select from ${sql(table)} s where s.uri = x.uri
        ${replace ? sql`and (${sql.unsafe(described.from('s'))}) is not distinct from (${sql.unsafe(described.from('x'))})` : sql``}
    )
    order by x.uri
    on conflict (uri) do update set ${sql.unsafe(described.assign('excluded', 'uri'))},
      account_id = excluded.account_id, organization_uri = excluded.organization_uri, synced_at = clock_timestamp()
    returning t.xmax = 0 as "isNew"`;
  const added = written.filter(({ isNew }) => isNew).length;
  return { new: added, updated: written.length - added };
}

/** What a row gets that a complete listing lacks, and which rows count as present; SQL. */
export interface Absence {
  set: string;
  where: string;
}

/**
 * Marks the rows that a complete listing lacks, of the organization or of the account, written before it began.
 * @returns how many
 */
export async function markAbsent(
  sql: Sql,
  table: string,
  { set, where }: Absence,
  listing: {
    of: { organization_uri: string } | { account_id: string };
    uris: readonly string[];
    begun: string;
  },
): Promise<number> {
  const [[column, value] = ['', '']] = Object.entries(listing.of);
  const { count } = await sql`
    update ${sql(table)} t set ${sql.unsafe(set)}, synced_at = clock_timestamp()
    where ${sql(column)}::text = ${value} and ${sql.unsafe(where)} and synced_at < ${listing.begun}::timestamptz
      and not exists (select from unnest(${[...listing.uris]}::text[]) as listed (uri) where listed.uri = t.uri)`;
  return count;
}

/** Deletes rows of people who were erased. */
export async function deleteResources(sql: Sql, table: string, uris: readonly string[]): Promise<void> {
  if (uris.length > 0) await sql`delete from ${sql(table)} where uri = any(${[...uris]}::text[])`;
}

/** Rows whose JSON contains an address, with who brought them, locked. */
export async function findResourcesNaming(
  sql: Sql,
  table: string,
  address: string,
  lock: boolean,
): Promise<(Source & { uri: string; raw: Json })[]> {
  return sql<(Source & { uri: string; raw: Json })[]>`
    select uri, raw, account_id::text as "accountId", organization_uri as "organizationUri" from ${sql(table)}
    where position(${address} in lower(raw::text)) > 0
      or position(${encodeURIComponent(address).toLowerCase()} in lower(raw::text)) > 0
    order by uri ${lock ? sql`for update` : sql``}`;
}

/** Names event types that only meetings know: as unlisted ones, with the name of the latest of these meetings. */
export async function addUnlistedTypes(
  sql: Sql,
  userId: string,
  { accountId, organizationUri }: Source,
): Promise<number> {
  const { count } = await sql`
    insert into calendly_event_types (uri, name, unlisted, account_id, organization_uri)
    select distinct on (m.event_type_uri::text) m.event_type_uri::text, m.title::text, true, ${accountId}::bigint,
      ${organizationUri}::text
    from calendly_events e
    join meetings m on m.id = e.meeting_id
    where e.user_id = ${userId} and m.event_type_uri is not null
      and not exists (select from calendly_event_types t where t.uri = m.event_type_uri::text)
    order by m.event_type_uri::text, e.start_time desc
    on conflict do nothing`;
  return count;
}

/** Unlisted event types that were never asked for: those of the latest meetings, as many as a day allows. */
export async function findTypesToAsk(sql: Sql, userId: string, accountId: string, perDay: number) {
  const rows = await sql<{ uri: string }[]>`
    select t.uri from calendly_event_types t
    left join (
      select m.event_type_uri::text as uri, max(e.start_time) as last
      from calendly_events e join meetings m on m.id = e.meeting_id where e.user_id = ${userId} group by 1
    ) as used on used.uri = t.uri
    where t.account_id = ${accountId} and t.unlisted and t.asked_at is null
    order by used.last desc nulls last, t.uri
    limit greatest(0, ${perDay}::integer - (
      select count(*) from calendly_event_types where account_id = ${accountId} and asked_at > now() - interval '23 hours'
    ))`;
  return rows.map(({ uri }) => uri);
}

/** Records that an event type was asked for. @param isGone Calendly does not have it any more */
export async function markAsked(sql: Sql, uri: string, isGone: boolean): Promise<void> {
  await sql`
    update calendly_event_types set asked_at = now(), deleted_at = coalesce(deleted_at, case when ${isGone} then now() end),
      unlisted = unlisted and deleted_at is null and not ${isGone}, synced_at = clock_timestamp()
    where uri = ${uri}`;
}

/** What is known of one resource of one account. */
export interface ResourceState {
  resource: string;
  /** It may be read again, if it is read hourly. */
  isDue: boolean;
  completeAt: Date | null;
  cursors: Record<string, string>;
}

export async function readResourceStates(sql: Sql, accountId: string): Promise<Map<string, ResourceState>> {
  const rows = await sql<ResourceState[]>`
    select resource, due_at <= now() as "isDue", complete_at as "completeAt", cursors
    from calendly_resource_states where account_id = ${accountId}`;
  return new Map(rows.map((row) => [row.resource, row]));
}

/** Records that a resource was read, or why it was not. @param state.againInS earliest next time, in seconds */
export async function saveResourceState(
  sql: Sql,
  accountId: string,
  state: {
    resource: string;
    cursors: Record<string, string>;
    isComplete: boolean;
    note: string | null;
    againInS: number;
  },
): Promise<void> {
  const { resource, cursors, isComplete, note, againInS } = state;
  await sql`
    insert into calendly_resource_states as s (account_id, resource, due_at, complete_at, cursors, note)
    values (${accountId}, ${resource}, now() + ${againInS}::integer * interval '1 second',
      case when ${isComplete} then now() end, ${JSON.stringify(cursors)}::text::jsonb, ${note})
    on conflict (account_id, resource) do update set checked_at = now(), due_at = excluded.due_at,
      complete_at = coalesce(excluded.complete_at, s.complete_at), cursors = excluded.cursors, note = excluded.note`;
}

/** A resource that could not be read, as `health` reports it. */
export interface ResourceOff {
  resource: string;
  note: string;
  /** One of the users for whom it is so. */
  email: string | null;
  /** How many these are. */
  users: number;
  checked_at: Date;
}

/** Which resources could not be read, and why. @param userIds only of these users; null: of all */
export async function readResourcesOff(sql: Sql, userIds: readonly string[] | null): Promise<ResourceOff[]> {
  if (!(await hasResources(sql))) return [];
  return sql<ResourceOff[]>`
    select s.resource, s.note, min(a.email) as email, count(*)::integer as users, max(s.checked_at) as checked_at
    from calendly_resource_states s join calendly_accounts a on a.id = s.account_id
    where s.note is not null and (${userIds === null} or a.user_id::text = any(${[...(userIds ?? [])]}::text[]))
    group by 1, 2 order by 1, 2`;
}
