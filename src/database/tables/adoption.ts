/**
 * SQL that enters meetings of another integration into `calendly_events`, so that the sync finds them and inserts none twice.
 * Writes to no row of `meetings`, which keep their ids and their values. Knows every form in which such rows name their event.
 */
import type { Sql } from '../connection.js';

/** Which rows to look at; all of them together, in batches, if none are named. */
export interface AdoptionScope {
  /** Only meetings that may be these events of this user. */
  only?: { userId: string; uris: string[] } | undefined;
  /** Only rows after this `meetings.id`; the `next` of the batch before. */
  after?: string | null | undefined;
  /** Rows per batch; each batch locks its rows against deletion until the transaction ends. */
  limit?: number | undefined;
}

export interface Adopted {
  adopted: number;
  /** Rows of an event that another row stands for already. */
  duplicates: number;
  /** Rows that name no event, or no user that exists. */
  unrecognised: number;
  /** Where the next batch begins; null if this was the last one. */
  next: string | null;
}

const LIMIT = 1_000;

/** Columns that name the event, most reliable first, each with the expression for the bare id. */
const FORMS: Record<string, (column: string) => string> = {
  calendly_uri: ofUri,
  calendly_event_uuid: (column) => `nullif(btrim(${column}), '')`,
  calendly_event_uri: ofUri,
  googleeventid: (column) => `substring(${column} from '^calendly_(.+)$')`,
  external_id: (column) =>
    `coalesce(${ofUri(column)}, substring(${column} from '^(?:calendly_)?([A-Za-z0-9_-]+)$'))`,
};

function ofUri(column: string): string {
  return `substring(${column} from '/scheduled_events/([^/?#]+)')`;
}

/** What a user's id looks like as text, where a cast of other text would fail. */
const ID_FORMS: Record<string, string> = {
  smallint: '^[0-9]{1,4}$',
  integer: '^[0-9]{1,9}$',
  bigint: '^[0-9]{1,18}$',
  uuid: '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$',
};

/**
 * Enters one batch of meetings into `calendly_events`. Call it again with `next` until that is null. Rows that are entered
 * already are skipped; nothing is ever entered twice.
 */
export async function adoptMeetings(sql: Sql, scope: AdoptionScope = {}): Promise<Adopted> {
  const { only, after = null, limit = LIMIT } = scope;
  const host = await readHost(sql);
  const [row] = await sql<
    [{ seen: number; entered: number; adopted: number; strange: number; last: string | null }]
  >`
    with batch as materialized (
      select m.id, ${sql.unsafe(host.event)} as external_id, ${sql.unsafe(host.user)} as user_key
      from meetings m
      where (${sql.unsafe(host.candidate)})
        and ${after === null ? sql`true` : sql`m.id > ${after}`}
        and ${only ? sql`${sql.unsafe(host.user)} = ${only.userId} and (${named(sql, host.columns, only.uris)})` : sql`true`}
      order by m.id
      limit ${limit}
    ), known as materialized (
      select batch.id, batch.external_id, u.id as user_id, e.meeting_id is not null as entered
      from batch
      left join users u on ${sql.unsafe(host.joinUser)}
      left join calendly_events e on e.meeting_id = batch.id
    ), inserted as (
      insert into calendly_events (user_id, external_id, meeting_id, adopted, written_at)
      select distinct on (user_id, external_id) user_id, external_id, id, true, to_timestamp(0)
      from known
      where not entered and user_id is not null and external_id is not null
      order by user_id, external_id, id
      on conflict do nothing
      returning 1
    )
    select count(*)::integer as seen, count(*) filter (where entered)::integer as entered,
      (select count(*)::integer from inserted) as adopted,
      count(*) filter (where not entered and (user_id is null or external_id is null))::integer as strange,
      (select id::text from batch order by batch.id desc limit 1) as last
    from known`;
  const { seen, entered, adopted, strange, last } = row;
  return {
    adopted,
    duplicates: seen - entered - adopted - strange,
    unrecognised: strange,
    next: seen < limit ? null : last,
  };
}

/** How this database's `meetings` names the event and the user of a row. */
interface Host {
  columns: Set<string>;
  /** SQL for the bare id of the event, as text. */
  event: string;
  /** SQL for the user's id, as text. */
  user: string;
  /** SQL: the row may be a meeting of Calendly. */
  candidate: string;
  /** SQL that joins `users u` to `batch.user_key`. */
  joinUser: string;
}

async function readHost(sql: Sql): Promise<Host> {
  const rows = await sql<{ host: string; name: string; type: string }[]>`
    select attname::text as name, case attrelid when to_regclass('users') then 'users' else 'meetings' end as host,
      format_type(atttypid, null) as type
    from pg_attribute where attrelid in (to_regclass('users'), to_regclass('meetings')) and attnum > 0 and not attisdropped`;
  const columns = new Set(rows.flatMap(({ host, name }) => (host === 'meetings' ? [name] : [])));
  const idType = rows.find(({ host, name }) => host === 'users' && name === 'id')?.type ?? 'text';
  const present = (names: string[]) => names.filter((name) => columns.has(name));
  const first = (expressions: string[]) => `coalesce(${[...expressions, 'null'].join(', ')})`;
  const form = ID_FORMS[idType];
  return {
    columns,
    event: first(present(Object.keys(FORMS)).map((name) => FORMS[name]?.(`m.${name}::text`) ?? 'null')),
    user: first(present(['user_id', 'userid']).map((name) => `m.${name}::text`)),
    candidate: [
      ...present(['meeting_source']).map((name) => `m.${name}::text = 'calendly'`),
      ...present(['calendly_uri', 'calendly_event_uuid', 'calendly_event_uri']).map(
        (name) => `m.${name} is not null`,
      ),
      'false',
    ].join(' or '),
    joinUser: form
      ? `u.id = case when batch.user_key ~ '${form}' then batch.user_key::${idType} end`
      : 'u.id::text = batch.user_key',
  };
}

/** The row may be one of these events: by equality, so that an index of the host's can serve. */
function named(sql: Sql, columns: ReadonlySet<string>, uris: string[]) {
  const ids = uris.map((uri) => uri.slice(uri.lastIndexOf('/') + 1));
  const forms = [...uris, ...ids, ...ids.map((id) => `calendly_${id}`)];
  return Object.keys(FORMS)
    .filter((name) => columns.has(name))
    .reduce((any, name) => sql`${any} or m.${sql.unsafe(name)}::text = any(${forms})`, sql`false`);
}
