/**
 * Reads what `health` reports: the state of each connected user and the last 24 hours, the webhook events and the
 * database. Counts in the tables themselves, so it works without migration 022 and its view. Does not judge.
 */
import type { Sql } from '../connection.js';
import { IS_AUDITED } from './calendly-events.js';

/** The stored state of one user. Times are by the database's clock. */
export interface UserState {
  user_id: string;
  email: string | null;
  /** Null: not linked to a Calendly account. */
  account_id: string | null;
  /** Without 022: the end of the last complete run. */
  last_calendly_sync: Date | null;
  /** Null without 022. */
  calendly_initial_sync_complete: boolean | null;
  calendly_webhook_enabled: boolean | null;
  active_calendly_meetings: number;
  deleted_calendly_meetings: number;
  webhook_synced_meetings: number;
  last_meeting_sync: Date | null;
  /** The longest time ago that the invitees of a meeting in the full window were read; null if none has any. */
  oldest_reading: Date | null;
  webhook_events_received: number;
  lease_owner: string | null;
  lease_until: Date | null;
  last_full_listing_at: Date | null;
  /** The latest recorded run, finished or not; null when there was none. */
  last_run: LastRun | null;
  /** An unchanged check leaves no row, except for the first of its day: these are the runs that changed or failed. */
  runs_24h: RunsOfDay;
  /** The median time between the starts of recent runs, in seconds; null: too few are recorded. */
  median_gap_s: number | null;
  /** Meetings that were booked or canceled in the last 24 hours. */
  changes_24h: { booked: number; canceled: number };
  next_meeting: { start_time: Date; title: string | null } | null;
  /** The newest webhook delivery; its delay after the booking, in ms. */
  last_delivery: { received_at: Date; delay_ms: number | null; event_type: string | null } | null;
  /** Meetings that failed and wait for the next run. */
  pending_failed: number;
  pending_error: string | null;
}

export interface LastRun {
  status: string;
  mode: string;
  started_at: Date;
  finished_at: Date | null;
  requests: number;
  error_code: string | null;
  error: string | null;
}

/** The recorded runs of 24 hours. */
export interface RunsOfDay {
  complete: number;
  failed: number;
  /** One entry per hour, the oldest first. */
  hours: ('none' | 'complete' | 'failed')[];
}

/** Webhook events of one kind. */
export interface WebhookEventCount {
  event_type: string;
  count: number;
  last_received: Date | null;
}

/** The database's clock: its times must be compared with this one. */
export async function databaseNow(sql: Sql): Promise<Date> {
  const [row] = await sql<{ now: Date }[]>`select clock_timestamp() as now`;
  return row?.now ?? new Date();
}

/**
 * Reads the users that are linked to a Calendly account or, if `named` is not empty, those with that id or e-mail
 * (any case).
 * @param hasSyncState migration 022 is applied
 */
export async function readUserStates(sql: Sql, named: string[], hasSyncState: boolean): Promise<UserState[]> {
  const host = await hostColumns(sql);
  const email = host.email ? sql`coalesce(u.email::text, a.email)` : sql`a.email`;
  // As in the view: an application may keep the owner in a text column of its own.
  const owner = host.userid ? sql`coalesce(user_id::text, userid::text)` : sql`user_id`;
  const wanted = named.map((name) => name.toLowerCase());
  const chosen =
    named.length > 0
      ? sql`u.id::text = any(${named}) or lower(${email}) = any(${wanted})`
      : sql`a.id is not null`;
  const flags = hasSyncState
    ? sql`u.last_calendly_sync, u.calendly_initial_sync_complete, u.calendly_webhook_enabled`
    : sql`(
        select max(finished_at) from calendly_sync_runs where account_id = a.id and status = 'complete'
      ) as last_calendly_sync,
      null::boolean as calendly_initial_sync_complete, null::boolean as calendly_webhook_enabled`;
  const since = (column: 'calendly_created_at' | 'canceled_at') =>
    host[column] ? sql`count(*) filter (where ${sql.unsafe(column)} > now() - interval '24 hours')` : sql`0`;
  const viaWebhook = hasSyncState ? sql`count(*) filter (where synced_via_webhook)` : sql`0`;
  const events = hasSyncState
    ? sql`(select count(*) from calendly_webhook_events e where e.user_id = u.id)`
    : sql`0`;
  const delivery = hasSyncState
    ? sql`(
        select jsonb_build_object('received_at', e.created_at, 'event_type', e.event_type,
          'delay_ms', round(extract(epoch from e.created_at - e.occurred_at) * 1000))
        from calendly_webhook_events e where e.user_id = u.id order by e.created_at desc limit 1
      )`
    : sql`null::jsonb`;
  return sql<UserState[]>`
    select u.id::text as user_id, ${email} as email, a.id::text as account_id, ${flags},
      coalesce(m.active, 0)::float8 as active_calendly_meetings,
      coalesce(m.deleted, 0)::float8 as deleted_calendly_meetings,
      coalesce(m.via_webhook, 0)::float8 as webhook_synced_meetings, m.last_sync as last_meeting_sync,
      ${events}::float8 as webhook_events_received, (
        -- In the order of the index: the first that qualifies is the oldest.
        select e.read_at from calendly_events e join meetings m on m.id = e.meeting_id
        where e.user_id = u.id and ${sql.unsafe(IS_AUDITED)}
          and e.start_time > now() - interval '24 months' and e.start_time < now() + interval '12 months'
        order by e.read_at limit 1
      ) as oldest_reading,
      (
        select jsonb_build_object('start_time', e.start_time, 'title', m.title::text)
        from calendly_events e join meetings m on m.id = e.meeting_id
        where e.user_id = u.id and e.start_time > now() and m.is_deleted is not true
        order by e.start_time limit 1
      ) as next_meeting,
      jsonb_build_object('booked', coalesce(m.booked, 0), 'canceled', coalesce(m.canceled, 0)) as changes_24h,
      ${delivery} as last_delivery, ${runsOfDay(sql)} as runs_24h, ${medianGap(sql)}::float8 as median_gap_s,
      l.lease_owner, l.lease_until, a.last_full_listing_at, ${lastRun(sql)} as last_run,
      p.failed::integer as pending_failed, p.error as pending_error
    from users u
    left join calendly_accounts a on a.user_id = u.id
    left join calendly_leases l on l.account_id = a.id
    left join (
      select ${owner} as owner, count(*) filter (where is_deleted is not true) as active,
        count(*) filter (where is_deleted) as deleted, ${viaWebhook} as via_webhook,
        max(last_calendar_sync) as last_sync,
        ${since('calendly_created_at')} as booked, ${since('canceled_at')} as canceled
      from meetings where meeting_source = 'calendly' group by 1
    ) m on m.owner = ${host.userid ? sql`u.id::text` : sql`u.id`}
    left join lateral (
      select count(*) as failed, min(error) as error
      from calendly_pending_events where account_id = a.id and error is not null
    ) p on true
    where ${chosen}
    order by lower(${email}), u.id`.then((rows) => rows.map(withDates));
}

/** Counts the rows of `users` that are linked to no Calendly account. */
export async function countUnconnected(sql: Sql): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::float8 as count from users u
    where not exists (select from calendly_accounts a where a.user_id = u.id)`;
  return row?.count ?? 0;
}

/** Counts webhook events by kind. Only where migration 022 is applied. */
export async function readWebhookEventCounts(sql: Sql): Promise<WebhookEventCount[]> {
  return sql<WebhookEventCount[]>`
    select coalesce(event_type, 'unknown') as event_type, count(*)::float8 as count, max(created_at) as last_received
    from calendly_webhook_events group by 1 order by 1`;
}

/** A run is recorded when it ends; until then, the lease shows that it has begun. */
function lastRun(sql: Sql) {
  return sql`case when l.lease_owner is not null then jsonb_build_object('status', 'running', 'mode', 'unknown',
    'started_at', l.started_at, 'requests', 0) else (
    select jsonb_build_object('status', r.status, 'mode', r.mode, 'started_at', r.started_at,
      'finished_at', r.finished_at, 'requests', r.requests, 'error_code', r.error_code, 'error', r.error)
    from calendly_sync_runs r where r.account_id = a.id
    order by r.started_at desc, r.id desc limit 1
  ) end`;
}

/** The recorded runs of 24 hours, and the hours ago in which they began. */
function runsOfDay(sql: Sql) {
  return sql`(
    select jsonb_build_object('complete', count(*) filter (where status = 'complete'),
      'failed', count(*) filter (where status in ('failed', 'crashed')),
      'hours_complete', array_agg(distinct hour) filter (where status = 'complete'),
      'hours_failed', array_agg(distinct hour) filter (where status in ('failed', 'crashed')))
    from (
      select status, least(23, greatest(0, floor(extract(epoch from now() - started_at)::float8 / 3600))) as hour
      from calendly_sync_runs where account_id = a.id and started_at > now() - interval '24 hours'
    ) r
  )`;
}

/** Of at least 8 gaps in a week: a few runs by hand are no rhythm. */
function medianGap(sql: Sql) {
  return sql`(
    select percentile_disc(0.5) within group (order by gap) from (
      select extract(epoch from started_at - lag(started_at) over (order by started_at))::float8 as gap from (
        select started_at from calendly_sync_runs
        where account_id = a.id and started_at > now() - interval '7 days'
        order by started_at desc limit 20
      ) latest
    ) gaps having count(gap) >= 8
  )`;
}

/** JSON has neither dates nor, for what is missing, empty lists. */
function withDates(row: UserState): UserState {
  const { last_run: run, next_meeting: next, last_delivery: delivery } = row;
  const { complete, failed, hours_complete, hours_failed } = row.runs_24h as RunsOfDay & HoursAgo;
  const hours = Array.from({ length: 24 }, (_, index) => {
    const ago = 23 - index;
    return hours_failed?.includes(ago) ? 'failed' : hours_complete?.includes(ago) ? 'complete' : 'none';
  });
  return {
    ...row,
    runs_24h: { complete, failed, hours },
    next_meeting: next && { ...next, start_time: new Date(next.start_time) },
    last_delivery: delivery && { ...delivery, received_at: new Date(delivery.received_at) },
    last_run: run && {
      ...run,
      started_at: new Date(run.started_at),
      finished_at: run.finished_at == null ? null : new Date(run.finished_at),
    },
  };
}

interface HoursAgo {
  hours_complete: number[] | null;
  hours_failed: number[] | null;
}

/**
 * `users` and `meetings` may belong to another application: users need not have an e-mail, meetings may have a `userid`,
 * and a column with one of our names may have another type.
 */
async function hostColumns(sql: Sql) {
  const rows = await sql<{ name: string }[]>`
    select attname::text as name from pg_attribute
    where not attisdropped and (
      (attrelid, attname) in ((to_regclass('users'), 'email'), (to_regclass('meetings'), 'userid'))
      or attrelid = to_regclass('meetings') and attname in ('calendly_created_at', 'canceled_at')
        and atttypid = 'timestamptz'::regtype
    )`;
  const has = (name: string) => rows.some((row) => row.name === name);
  return {
    email: has('email'),
    userid: has('userid'),
    calendly_created_at: has('calendly_created_at'),
    canceled_at: has('canceled_at'),
  };
}

/** The database itself: the schema of our tables, and its size if the role may know it. */
export async function readDatabaseFacts(sql: Sql): Promise<{ schema: string; bytes: number | null }> {
  const [row] = await sql<{ schema: string; bytes: number | null }[]>`
    select current_schema() as schema, case when has_database_privilege(current_database(), 'connect')
      then pg_database_size(current_database())::float8 end as bytes`;
  return row ?? { schema: '', bytes: null };
}
