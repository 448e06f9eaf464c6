/**
 * Whether a host's `meetings` accepts our rows: tried, because NOT NULL, checks, domains, triggers and types cannot
 * be judged by a list. Runs inside the migration's transaction and leaves nothing.
 */
import type { Sql } from '../../database/connection.js';
import { errorCode } from '../../database/errors.js';
import { MEETING } from '../../database/tables/meetings.js';
import { columnsOf } from './drift.js';
import { EXPECTED } from './expected.js';
import { refusal } from './preflight.js';

type Row = Readonly<Record<string, string>>;

const BY_TYPE: Row = {
  text: `'calendly-sync trial'`,
  'timestamp with time zone': 'now()',
  jsonb: `jsonb_build_object('uri', repeat('x', 2000))`, // Calendly's JSON of a meeting is about as long
  integer: '1',
  boolean: 'false',
};
const COLUMNS = columnsOf(EXPECTED['001']?.['columns meetings'] ?? '');
const ALL: Row = Object.fromEntries(COLUMNS.map(([name, type]) => [name, BY_TYPE[type] ?? 'null']));

/** What Calendly always sends. Not two rows at one time, which a rule of the application may exclude. */
const always = (id: string, day: number): Row => ({
  user_id: 'trial_user.id',
  meeting_source: `'calendly'`,
  calendly_uri: `'https://api.calendly.com/scheduled_events/${id}'`,
  external_id: `'${id}'`,
  status: `'active'`,
  start_time: `now() + interval '${day} days'`,
  end_time: `now() + interval '${day} days 30 minutes'`,
  is_deleted: 'false',
});

const complete = (id: string, day: number): Row => ({
  ...ALL,
  ...always(id, day),
  join_url: `'https://calendly.com/events/${id}/zoom'`,
  location: `jsonb_build_object('type', 'zoom', 'join_url', repeat('x', 500))`,
  location_type: `'zoom_conference'`,
  event_type_uri: `'https://api.calendly.com/event_types/${id}'`,
});

/** A complete row, one with nulls as a sync writes them (no default helps there), and a canceled one. */
const ROWS: readonly Row[] = [
  complete('00000000-0000-4000-8000-000000000000', 0),
  always('AAAAAAAAAAAAAAAA', 1),
  {
    ...complete('00000000-0000-4000-8000-000000000001', 2),
    status: `'canceled'`,
    is_deleted: 'true',
    deleted_reason: `'canceled'`,
  },
];

/** As the sync sends it: what the host's column does not take from this type fails here too. */
const typed = (value: string, type: string) => (type.endsWith('.id') ? value : `(${value})::${type}`);

/** As the sync reads it: a column of our name may have a type that takes our values and does not give them back. */
const READ_BACK = `${MEETING.select('meetings')}, meetings.raw::text::jsonb as json`;

class Undo extends Error {}

/**
 * Inserts these rows, and takes all back.
 * @throws CalendlySyncError `preflight` with Postgres's own error
 */
export async function tryInserting(sql: Sql): Promise<void> {
  await sql
    .savepoint(async (trial) => {
      const hasUser = await withUser(trial);
      for (const row of ROWS) {
        const { count } = await trial.unsafe(`
          insert into meetings (${COLUMNS.map(([name]) => name).join(', ')})
          select ${COLUMNS.map(([name, type]) => typed(row[name] ?? 'null', type)).join(', ')}
          from (select id from users limit 1) as trial_user
          returning ${READ_BACK}`);
        if (!hasUser || count > 0) continue;
        const problem =
          'meetings discards a row from Calendly: a trigger returns null, or a rule does something else instead.';
        throw refusal([{ problem, fix: 'Change that trigger or rule.' }], true);
      }
      await trial.unsafe('set constraints all immediate');
      throw new Undo();
    })
    .catch((error: unknown) => {
      if (!(error instanceof Undo)) throw refused(error);
    });
}

/** A meeting needs a user. Where there is none and none can be inserted, there is nothing to try with. */
async function withUser(sql: Sql): Promise<boolean> {
  const [user] = await sql`select from users limit 1`;
  if (user) return true;
  return sql
    .savepoint((inner) => inner`insert into users (email) values ('trial@calendly-sync.invalid')`)
    .then(
      ({ count }) => count > 0,
      () => false,
    );
}

/** The refusal in Postgres's words; what is no fault of the host passes through unchanged. */
function refused(error: unknown): unknown {
  const code = errorCode(error);
  if (code === null || !/^[0-9A-Z]{5}$/.test(code) || /^(08|57|53|25|55P03|40)/.test(code)) return error;
  const { message, where, hint } = error as { message: string; where?: string; hint?: string };
  const at = where ? ` (${where.split('\n')[0]})` : '';
  const fix = hint ?? 'Change that rule of meetings, so that rows from Calendly satisfy it.';
  return refusal(
    [{ problem: `meetings does not accept a row from Calendly: ${message} (SQLSTATE ${code})${at}`, fix }],
    true,
  );
}
