/**
 * Reads the reports: the views that migration 005 creates, with a time zone, a range and a grouping. A report has no
 * definition of its own here, so that a query in SQL finds the same numbers. Sends nothing to Calendly.
 */
import type { Database, Sql } from '../database/connection.js';
import { requireReadable } from '../database/readers.js';
import type { Json } from '../database/table.js';
import { CalendlySyncError } from '../errors.js';

/** The reports, the order of their rows, and the column that a chart shows. */
export const REPORTS = {
  weekly: { view: 'calendly_weekly', order: 'week, segment', chart: 'bookings' },
  hosts: { view: 'calendly_host_load', order: 'host, week', chart: 'hours' },
  sources: { view: 'calendly_sources', order: 'bookings desc, utm_source', chart: 'bookings' },
  cancellations: { view: 'calendly_cancellations', order: 'bookings desc, cancel_reason', chart: 'bookings' },
  'lead-time': { view: 'calendly_lead_time', order: 'from_days, segment', chart: 'bookings' },
  people: { view: 'calendly_people', order: 'bookings desc, email', chart: 'bookings' },
  answers: { view: 'calendly_answers', order: 'question, bookings desc, answer', chart: 'bookings' },
  chains: { view: 'calendly_chains', order: 'bookings desc, first_booked_at', chart: 'bookings' },
  revenue: { view: 'calendly_revenue', order: 'month, currency, segment', chart: 'paid' },
} as const;

export type ReportName = keyof typeof REPORTS;

export interface ReportOptions {
  database: Database;
  report: ReportName;
  /** Only bookings from this day or time on (`2026-03-01`, `2026-03-01T09:00`, in the report's time zone). */
  from?: string | null;
  /** Only bookings before this one. */
  to?: string | null;
  /** Days and weeks of this time zone; null: that of each meeting's host. */
  timezone?: string | null;
  /** Whether a booking counts when the meeting takes place (the default) or when it was booked. */
  axis?: 'meeting' | 'booked';
  /** One row for each of these, in the column `segment`. */
  by?: 'host' | 'type' | 'source' | null;
}

export interface Report {
  report: ReportName;
  axis: 'meeting' | 'booked';
  from: string | null;
  to: string | null;
  /** The time zones whose days and weeks the rows are in: the one that was named, else those of the hosts. */
  timezones: string[];
  columns: string[];
  /** Days as `2026-03-02`, times in ISO 8601, numbers as numbers. */
  rows: Json[];
}

/**
 * Reads one report.
 * @throws CalendlySyncError `schema_not_ready` without migration 005; `usage` for a time zone that Postgres does not
 * know; `database_failed` if policies hide rows from the role
 */
export async function readReport(options: ReportOptions): Promise<Report> {
  const { database, report, from = null, to = null, timezone = null, axis = 'meeting', by = null } = options;
  const { view, order } = REPORTS[report];
  return database.transaction(
    async (sql) => {
      await requireReports(sql);
      if (timezone !== null) await requireTimezone(sql, timezone);
      await selectBookings(sql, { from, to, timezone, axis, by });
      const columns = await sql<{ name: string }[]>`
        select attname as name from pg_attribute where attrelid = to_regclass(${view}) and attnum > 0 order by attnum`;
      const rows = await sql<{ row: Json }[]>`
        select row_to_json(rows) as row from (select * from ${sql(view)} order by ${sql.unsafe(order)}) as rows`;
      const zones =
        timezone !== null
          ? [{ timezone }]
          : await sql<{ timezone: string }[]>`
              select distinct coalesce(calendly_sync_timezone(timezone), 'UTC') as timezone from calendly_accounts
              order by 1`;
      return {
        report,
        axis,
        from,
        to,
        timezones: zones.map((row) => row.timezone),
        columns: columns.map(({ name }) => name).filter((name) => name !== 'segment' || by !== null),
        rows: rows.map(({ row }) => row),
      };
    },
    { readOnly: true },
  );
}

/** The tables that the views read. */
const TABLES = ['calendly_events', 'meetings', 'meeting_invitees', 'calendly_accounts'];

/**
 * Requires the views, and a role that sees all of their rows.
 * @throws CalendlySyncError `schema_not_ready`, `database_failed`
 */
export async function requireReports(sql: Sql): Promise<void> {
  const [found] = await sql<
    { ready: boolean }[]
  >`select to_regclass('calendly_bookings') is not null as ready`;
  if (!found?.ready) {
    const hint = 'Run: calendly-sync migrate';
    throw new CalendlySyncError('schema_not_ready', 'The database lacks the view calendly_bookings.', {
      hint,
    });
  }
  await requireReadable(sql, TABLES);
}

async function requireTimezone(sql: Sql, timezone: string): Promise<void> {
  const [known] = await sql`select from pg_timezone_names where lower(name) = lower(${timezone})`;
  if (known) return;
  const hint = 'Write a name of the IANA database, as in Europe/Berlin.';
  throw new CalendlySyncError('usage', `Postgres knows no time zone ${timezone}.`, { hint });
}

/** What the views show for the rest of the transaction. Large sorts stay in memory, and plans are run as they are. */
async function selectBookings(
  sql: Sql,
  { from, to, timezone, axis, by }: Required<Omit<ReportOptions, 'database' | 'report'>>,
): Promise<void> {
  const settings = {
    'calendly_sync.since': from ?? '',
    'calendly_sync.until': to ?? '',
    'calendly_sync.timezone': timezone ?? '',
    'calendly_sync.axis': axis,
    'calendly_sync.by': by ?? '',
    timezone: 'UTC',
    work_mem: '64MB',
    jit: 'off',
  };
  await sql`select set_config(key, value, true) from json_each_text(${JSON.stringify(settings)}::text::json)`;
}
