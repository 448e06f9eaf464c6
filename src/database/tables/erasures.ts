/**
 * SQL of `calendly_erasures`: people whom nothing may bring back, as hashes of their addresses. The secret of the hashes
 * stands in the database, so that it needs no setting; it never leaves it.
 */
import { randomBytes } from 'node:crypto';
import type { Sql } from '../connection.js';
import type { Json } from '../table.js';

/**
 * Those of these addresses that were erased. To be asked in every transaction that stores what Calendly says of people,
 * before its end: `addErasure` waits for it, so that nobody stores what was read before.
 * @param addresses in lower case
 */
export async function findErased(sql: Sql, addresses: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await sql<{ address: string }[]>`
    select x.address from unnest(${[...addresses]}::text[]) as x (address)
    join calendly_erasures e on e.hash = ${sql.unsafe(HASH)}
    for key share of e`;
  return new Set(rows.map(({ address }) => address));
}

/** The same for a transaction that writes nothing. */
export async function previewErased(sql: Sql, addresses: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await sql<{ address: string }[]>`
    select x.address from unnest(${[...addresses]}::text[]) as x (address)
    join calendly_erasures e on e.hash = ${sql.unsafe(HASH)}`;
  return new Set(rows.map(({ address }) => address));
}

/** The same as a condition, for an expression of type text[]. */
export function namesErased(addresses: string): string {
  return `exists (
    select from unnest(${addresses}) as x (address) join calendly_erasures e on e.hash = ${HASH} for key share of e
  )`;
}

// A key of 32 random bytes in front: without it, addresses could be guessed.
const HASH = `sha256((select key from calendly_erasure_key) || convert_to(x.address, 'UTF8'))`;

/**
 * Records that a person was erased. When it is committed, every transaction that did not know of it has ended.
 * @param address in lower case
 */
export async function addErasure(sql: Sql, address: string): Promise<void> {
  // Conflicts with the rows that `findErased` locks, not with a dump of the database.
  await sql`select set_config('lock_timeout', '4s', true)`;
  await sql`lock table calendly_erasures in exclusive mode`;
  await sql`
    insert into calendly_erasure_key (key) values (${randomBytes(32)}) on conflict do nothing`;
  await sql`
    insert into calendly_erasures (hash)
    select ${sql.unsafe(HASH)} from (select ${address}::text as address) as x
    on conflict do nothing`;
}

/** True for the address of a connected Calendly user. */
export async function isConnected(sql: Sql, address: string): Promise<boolean> {
  const rows = await sql`select from calendly_accounts where lower(email) = ${address}`;
  return rows.length > 0;
}

/** A text expression contains the address, also as it is written in a URL. */
function names(sql: Sql, expression: string, address: string) {
  const text = sql.unsafe(`lower(${expression})`);
  return sql`(position(${address} in ${text}) > 0
    or position(${encodeURIComponent(address).toLowerCase()} in ${text}) > 0)`;
}

/** The stored meetings that name an address anywhere, in the event or in one of its invitees, in the order of locks. */
export async function findMeetingsNaming(
  sql: Sql,
  address: string,
): Promise<{ userId: string; externalId: string }[]> {
  return sql<{ userId: string; externalId: string }[]>`
    select e.user_id::text as "userId", e.external_id as "externalId"
    from calendly_events e join meetings m on m.id = e.meeting_id
    where ${names(sql, "concat_ws(' ', m.title, m.join_url, m.canceled_by, m.cancel_reason, m.location, m.raw)", address)}
      or exists (select from meeting_invitees i where i.meeting_id = m.id and ${names(sql, 'i::text', address)})
    order by 1, e.external_id collate "C"`;
}

/** A stored delivery. */
export interface NamingDelivery {
  eventId: string;
  body: Json | string;
}

/** Up to `limit` stored deliveries behind `after` that name an address, in the order of their ids; locked or not. */
export async function findDeliveriesNaming(
  sql: Sql,
  address: string,
  after: string,
  { limit, lock }: { limit: number; lock: boolean },
): Promise<NamingDelivery[]> {
  return sql<NamingDelivery[]>`
    select event_id as "eventId", payload as body from calendly_webhook_events
    where event_id > ${after} and ${names(sql, 'payload::text', address)}
    order by event_id limit ${limit} ${lock ? sql`for update` : sql``}`;
}

/** Replaces an address in a text column. @returns the number of rows */
export async function replaceInColumn(
  sql: Sql,
  { table, column }: { table: string; column: string },
  address: string,
): Promise<number> {
  const pattern = address.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const { count } = await sql`
    update ${sql(table)} set ${sql(column)} = regexp_replace(${sql(column)}, ${pattern}, '[erased]', 'gi')
    where ${sql(column)} ~* ${pattern}`;
  return count;
}

/**
 * Where an address still stands: in columns of the application beside ours, and in backups.
 * @param tables of ours
 */
export async function findRemains(
  sql: Sql,
  address: string,
  tables: readonly string[],
): Promise<{ table: string; schema: string; isBackup: boolean; rows: number }[]> {
  const found = await sql<{ table: string; schema: string; isBackup: boolean }[]>`
    select relname::text as table, nspname::text as schema, nspname like 'calendly\\_backup\\_%' as "isBackup"
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where relkind in ('r', 'p') and (nspname like 'calendly\\_backup\\_%'
      or pg_class.oid in (select to_regclass(quote_ident(name)) from unnest(${[...tables]}::text[]) as name))
    order by 2, 1`;
  const remains = [];
  for (const one of found) {
    const [row] = await sql<{ rows: number }[]>`
      select count(*)::integer as rows from ${sql(one.schema)}.${sql(one.table)} t
      where ${names(sql, 't::text', address)}`;
    if (row && row.rows > 0) remains.push({ ...one, rows: row.rows });
  }
  return remains;
}
