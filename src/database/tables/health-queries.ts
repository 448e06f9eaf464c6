/**
 * Reads what `health` reports: the state of each connected user, and the webhook events. Counts in the tables
 * themselves, so it works without migration 022 and its view. Does not judge.
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
  /** The latest run, finished or not; null when there was none. */
  last_run: LastRun | null;
  /** Meetings that failed and wait for the next run. */
  pending_failed: number;
  pending_error: string | null;
}

export interface LastRun {
  status: string;
  mode: string;
  started_at: Date;
  finished_at: Date | null;
  error_code: string | null;
  error: string | null;
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
  const viaWebhook = hasSyncState ? sql`count(*) filter (where synced_via_webhook)` : sql`0`;
  const events = hasSyncState
    ? sql`(select count(*) from calendly_webhook_events e where e.user_id = u.id)`
    : sql`0`;
  return sql<UserState[]>`
    select u.id::text as user_id, ${email} as email, a.id::text as account_id, ${flags},
      coalesce(m.active, 0)::float8 as active_calendly_meetings,
      coalesce(m.deleted, 0)::float8 as deleted_calendly_meetings,
      coalesce(m.via_webhook, 0)::float8 as webhook_synced_meetings, m.last_sync as last_meeting_sync,
      ${events}::float8 as webhook_events_received, (
        select min(e.read_at) from calendly_events e join meetings m on m.id = e.meeting_id
        where e.user_id = u.id and ${sql.unsafe(IS_AUDITED)}
          and e.start_time > now() - interval '24 months' and e.start_time < now() + interval '12 months'
      ) as oldest_reading,
      l.lease_owner, l.lease_until, a.last_full_listing_at, ${lastRun(sql)} as last_run,
      p.failed::integer as pending_failed, p.error as pending_error
    from users u
    left join calendly_accounts a on a.user_id = u.id
    left join calendly_leases l on l.account_id = a.id
    left join (
      select ${owner} as owner, count(*) filter (where is_deleted is not true) as active,
        count(*) filter (where is_deleted) as deleted, ${viaWebhook} as via_webhook,
        max(last_calendar_sync) as last_sync
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
    'started_at', l.started_at) else (
    select jsonb_build_object('status', r.status, 'mode', r.mode, 'started_at', r.started_at,
      'finished_at', r.finished_at, 'error_code', r.error_code, 'error', r.error)
    from calendly_sync_runs r where r.account_id = a.id
    order by r.started_at desc, r.id desc limit 1
  ) end`;
}

function withDates(row: UserState): UserState {
  const run = row.last_run;
  if (run === null) return row;
  const finished = run.finished_at == null ? null : new Date(run.finished_at);
  return { ...row, last_run: { ...run, started_at: new Date(run.started_at), finished_at: finished } };
}

/**
 * `users` and `meetings` may belong to another application: users need not have an e-mail, and meetings may have a
 * `userid`.
 */
async function hostColumns(sql: Sql): Promise<{ email: boolean; userid: boolean }> {
  const rows = await sql<{ name: string }[]>`
    select attname::text as name from pg_attribute
    where not attisdropped
      and (attrelid, attname) in ((to_regclass('users'), 'email'), (to_regclass('meetings'), 'userid'))`;
  const names = rows.map(({ name }) => name);
  return { email: names.includes('email'), userid: names.includes('userid') };
}
