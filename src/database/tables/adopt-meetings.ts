/**
 * Enters meetings that another integration wrote into `calendly_events`, in whatever form it stores their ids. They
 * keep their ids and their values; from then on the sync finds them instead of inserting them a second time. Knows
 * no Calendly.
 */

import { retry } from '../../retry.js';
import type { Database, Sql } from '../connection.js';
import { isRefusedRow, isTransient, sqlState } from '../errors.js';
import { MEETING } from './meetings.js';
import { referrer } from './references.js';

export interface AdoptOptions {
  /** Ends the adoption after the current batch; what is adopted stays adopted. */
  signal?: AbortSignal | undefined;
  /** Only meetings of this user, and only in a `meetings` that belongs to an application. */
  userId?: string;
  /** Called with one sentence for each row that is not deleted and that another row stands for. */
  onDuplicate?: ((text: string) => void) | undefined;
}

export interface Adoption {
  /** Rows entered by this call. */
  adopted: number;
  /** Rows of a meeting that another row stands for. */
  duplicates: number;
  /** Rows of Calendly meetings that name no event, or no user that exists. */
  unrecognised: number;
}

const BATCH = 1_000;

/**
 * Adopts what is not adopted yet, in short transactions that lock no row of `meetings`. Safe to repeat, and at any
 * time. Needs the tables of 001 and 003.
 */
export async function adoptMeetings(
  database: Database,
  { signal, userId, onDuplicate }: AdoptOptions = {},
): Promise<Adoption> {
  const total: Adoption = { adopted: 0, duplicates: 0, unrecognised: 0 };
  const host = await database.transaction(readColumns, { readOnly: true });
  const rows = candidates(host);
  if (rows === null || (userId !== undefined && host.isOurs)) return total;
  for (let after: string | null = null; !signal?.aborted; ) {
    const last: string | null = after;
    const batch: Batch = await shortTransaction(
      database,
      (sql) => adoptBatch(sql, rows, last, userId),
      signal,
    );
    let adopted = batch.adopted;
    for (const text of batch.duplicates) onDuplicate?.(text);
    for (const id of batch.others) {
      const outcome = await replaceOurs(database, rows, id, signal);
      if (outcome.isReplaced) adopted++;
      else if (outcome.duplicate !== null) onDuplicate?.(outcome.duplicate);
    }
    total.adopted += adopted;
    total.duplicates += batch.recognised - adopted;
    total.unrecognised += batch.seen - batch.recognised;
    if (batch.seen < BATCH) break;
    after = batch.last;
  }
  return total;
}

/**
 * Waits shortly for rows that the application holds, and tries again: about a minute in all, and it never holds
 * anybody up for longer than a second.
 */
function shortTransaction<T>(
  database: Database,
  work: (sql: Sql) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const run = () => database.transaction(work, { lockTimeoutMs: 1_000 });
  const shouldRetry = (error: unknown) => isTransient(error) || sqlState(error) === '55P03';
  return retry(run, { retries: 8, pauseMs: 200, shouldRetry, signal });
}

/** What `meetings` has. */
interface HostColumns {
  /** Whether we created the table. */
  isOurs: boolean;
  /** The type of each column. */
  types: ReadonlyMap<string, string>;
  /** The type of `users.id`. */
  userIdType: string;
}

async function readColumns(sql: Sql): Promise<HostColumns> {
  const rows = await sql<{ table: string; name: string; type: string; comment: string | null }[]>`
    select case attrelid when to_regclass('meetings') then 'meetings' else 'users' end as table, attname::text as name,
      format_type(atttypid, null) as type, obj_description(attrelid, 'pg_class') as comment
    from pg_attribute
    where attnum > 0 and not attisdropped
      and (attrelid = to_regclass('meetings') or (attrelid = to_regclass('users') and attname = 'id'))`;
  const ofMeetings = rows.filter(({ table }) => table === 'meetings');
  return {
    isOurs: ofMeetings[0]?.comment?.startsWith('calendly-sync ') ?? false,
    types: new Map(ofMeetings.map(({ name, type }) => [name, type])),
    userIdType: rows.find(({ table }) => table === 'users')?.type ?? '',
  };
}

/** The pieces of SQL that recognise a row `m` of this `meetings`. */
interface Candidates {
  /** True for a row of a Calendly meeting. */
  isCalendly: string;
  /** The event's id, or null. */
  key: string;
  /** Its user's id as text, or null. */
  owner: string;
  /** The columns that hold the user's id, in a form that uses an index where the application has one. */
  owners: string[];
}

function candidates({ types, userIdType }: HostColumns): Candidates | null {
  const has = (name: string) => types.has(name);
  const text = (name: string) => `m.${name}::text`;
  const lastSegment = (value: string) => `nullif(regexp_replace(rtrim(${value}, '/'), '^.*/', ''), '')`;
  const withoutPrefix = (value: string) => `nullif(regexp_replace(${value}, '^calendly_', ''), '')`;
  const uris = ['calendly_uri', 'calendly_event_uri', 'calendly_event_uuid'].filter(has);
  const markers = uris.map((name) => `m.${name} is not null`);
  const keys = uris.map((name) => lastSegment(text(name)));
  if (has('googleeventid')) {
    const isPrefixed = `${text('googleeventid')} like 'calendly\\_%'`;
    markers.push(isPrefixed);
    keys.push(`case when ${isPrefixed} then ${withoutPrefix(text('googleeventid'))} end`);
  }
  if (has('meeting_source')) markers.push(`${text('meeting_source')} = 'calendly'`);
  if (has('external_id')) keys.push(withoutPrefix(lastSegment(text('external_id'))));
  const owners = ['user_id', 'userid'].filter(has);
  if (markers.length === 0 || keys.length === 0 || owners.length === 0) return null;
  const comparable = new Set(['text', 'character varying', userIdType]);
  return {
    isCalendly: `(${markers.join(' or ')})`,
    key: `coalesce(${keys.join(', ')})`,
    owner: `coalesce(${owners.map(text).join(', ')})`,
    owners: owners.map((name) => (comparable.has(types.get(name) ?? '') ? `m.${name}` : text(name))),
  };
}

interface Batch {
  seen: number;
  /** Rows that name an event and a user. */
  recognised: number;
  adopted: number;
  /** Rows whose event has another row already. */
  others: string[];
  /** A few of the rows that are not deleted and whose event has another row in the same batch, in words. */
  duplicates: string[];
  last: string | null;
}

/** Of several rows for one event, the active one is adopted, then the oldest. */
async function adoptBatch(
  sql: Sql,
  { isCalendly, key, owner, owners }: Candidates,
  after: string | null,
  userId: string | undefined,
): Promise<Batch> {
  const ofUser =
    userId === undefined
      ? sql`true`
      : owners
          .map((column) => sql`${sql.unsafe(column)} = ${userId}`)
          .reduce((one, other) => sql`${one} or ${other}`);
  const [batch] = await sql<Batch[]>`
    with candidates as materialized (
      select m.id, ${sql.unsafe(key)} as key, ${sql.unsafe(owner)} as owner, m.is_deleted is true as is_deleted
      from meetings m
      where ${sql.unsafe(isCalendly)} and (${ofUser}) and ${after === null ? sql`true` : sql`m.id > ${after}`}
        and not exists (select from calendly_events e where e.meeting_id = m.id)
      order by m.id
      limit ${BATCH}
    ), recognised as materialized (
      select u.id as user_id, c.key, c.id, c.is_deleted
      from candidates c join users u on u.id::text = c.owner
      where c.key is not null
    ), matched as (
      select distinct on (user_id, key) user_id, key, id from recognised order by user_id, key, is_deleted, id
    ), adopted as (
      insert into calendly_events (user_id, external_id, meeting_id, adopted, written_at)
      select user_id, key, id, true, 'epoch' from matched order by user_id, key collate "C"
      on conflict do nothing
      returning meeting_id
    )
    select (select count(*)::integer from candidates) as seen,
      (select count(*)::integer from recognised) as recognised, (select count(*)::integer from adopted) as adopted,
      array(select id::text from matched where id not in (select meeting_id from adopted)) as others,
      array(
        select format('%s has two rows in meetings: %s is synced, %s is not', key, matched.id, r.id)
        from recognised r join matched using (user_id, key)
        where matched.id <> r.id and not r.is_deleted order by r.id limit 3
      ) as duplicates,
      (select (array_agg(id order by id desc))[1]::text from candidates) as last`;
  return batch ?? { seen: 0, recognised: 0, adopted: 0, others: [], duplicates: [], last: null };
}

interface Outcome {
  isReplaced: boolean;
  /** What the operator should know of a row that is not deleted and stays a duplicate. */
  duplicate: string | null;
}

/**
 * Lets a row of the application stand for an event that a row of ours stands for: both wrote it at the same time,
 * and the application refers to its own. Its row takes over what ours says, and ours is deleted. Both stay as they are
 * if the other row is the application's too, or if a table of the application refers to ours.
 */
async function replaceOurs(
  database: Database,
  { key, owner }: Candidates,
  meetingId: string,
  signal: AbortSignal | undefined,
): Promise<Outcome> {
  let duplicate: string | null = null;
  const replace = async (sql: Sql): Promise<Outcome> => {
    duplicate = null;
    const [event] = await sql<{ external_id: string; ours: string; adopted: boolean; is_deleted: boolean }[]>`
        select e.external_id, e.meeting_id::text as ours, e.adopted, m.is_deleted is true as is_deleted
        from meetings m
        join users u on u.id::text = ${sql.unsafe(owner)}
        join calendly_events e on e.user_id = u.id and e.external_id = ${sql.unsafe(key)}
        where m.id = ${meetingId} and e.meeting_id <> m.id
        for update of e`;
    if (!event) return { isReplaced: false, duplicate };
    const { ours } = event;
    if (!event.is_deleted)
      duplicate = `${event.external_id} has two rows in meetings: ${ours} is synced, ${meetingId} is not`;
    if (event.adopted) return { isReplaced: false, duplicate };
    // With the lock on ours, nobody can insert a reference to it before it is deleted.
    await sql`select from meetings where id in (${ours}, ${meetingId}) order by id for update`;
    const [found] = await sql<{ table: string | null }[]>`
        select ${sql.unsafe(await referrer(sql))} as table from meetings m where m.id = ${ours}`;
    if (found?.table)
      return {
        isReplaced: false,
        duplicate: duplicate && `${duplicate}, because ${found.table} refers to ${ours}`,
      };
    await sql`update meeting_invitees set meeting_id = ${meetingId} where meeting_id = ${ours}`;
    await sql`
        update calendly_events set meeting_id = ${meetingId}, adopted = true where meeting_id = ${ours}`;
    // Ours goes first: a unique key of the application would not let both rows hold the same values.
    await sql`
        with o as (delete from meetings where id = ${ours} returning *)
        update meetings m
        set ${sql.unsafe(MEETING.assign('o', 'external_id'))}, last_calendar_sync = o.last_calendar_sync,
          user_id = coalesce(m.user_id, o.user_id), meeting_source = coalesce(m.meeting_source, o.meeting_source),
          external_id = coalesce(m.external_id, o.external_id)
        from o where m.id = ${meetingId}`;
    return { isReplaced: true, duplicate: null };
  };
  try {
    return await shortTransaction(database, replace, signal);
  } catch (error) {
    if (!isRefusedRow(error)) throw error;
    return { isReplaced: false, duplicate };
  }
}
