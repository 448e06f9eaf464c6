/**
 * Whether a host's `meetings` accepts our rows: tried, because NOT NULL, checks, domains, triggers and types cannot
 * be judged by a list. Runs inside the migration's transaction and leaves nothing.
 */
import type { Sql } from '../../database/connection.js';
import { errorCode } from '../../database/errors.js';
import type { CalendlySyncError } from '../../errors.js';
import { columnsOf } from './drift.js';
import { EXPECTED } from './expected.js';
import { refusal } from './preflight.js';

const ALWAYS = [
  'user_id',
  'meeting_source',
  'external_id',
  'calendly_uri',
  'status',
  'start_time',
  'end_time',
  'is_deleted',
];
/** One row each. Calendly's ids have two forms. */
const IDS = [
  '00000000-0000-4000-8000-000000000000',
  'AAAAAAAAAAAAAAAA',
  '00000000-0000-4000-8000-000000000001',
];
const MINIMAL = 1;
const CANCELED = 2;
/** Values as Calendly sends them (N: number of the row, ID: its id), where the type alone does not say one. */
const SAMPLES: Readonly<Record<string, string>> = {
  meeting_source: `'calendly'`,
  calendly_uri: `'https://api.calendly.com/scheduled_events/ID'`,
  external_id: `'ID'`,
  status: `'active'`,
  // Not two rows at one time, which a rule of the application may exclude.
  start_time: `now() + interval 'N days'`,
  end_time: `now() + interval 'N days 30 minutes'`,
  join_url: `'https://calendly.com/events/ID/zoom'`,
  location_type: `'zoom_conference'`,
  event_type_uri: `'https://api.calendly.com/event_types/00000000-0000-4000-8000-000000000000'`,
};
/** How a sync writes a canceled meeting. */
const OF_CANCELED: Readonly<Record<string, string>> = {
  status: `'canceled'`,
  is_deleted: 'true',
  deleted_reason: `'canceled'`,
};
const BY_TYPE: Readonly<Record<string, string>> = {
  text: `'calendly-sync trial'`,
  'timestamp with time zone': 'now()',
  jsonb: `'{}'`,
  integer: '1',
  boolean: 'false',
};

const DISCARDED = {
  problem:
    'meetings discards a row from Calendly: a trigger returns null, or a rule does something else instead.',
  fix: 'Change that trigger or rule.',
};

class Undo extends Error {}

/**
 * Inserts a complete row, one with only what Calendly always sends, and a canceled one, and takes all back.
 * @throws CalendlySyncError `preflight` with Postgres's own error
 */
export async function tryInserting(sql: Sql): Promise<void> {
  const columns = columnsOf(EXPECTED['001']?.['columns meetings'] ?? '');
  if (columns.length === 0) return;
  // The second row has nulls, as a sync writes them: a default does not help there.
  const value = ([name, type]: [string, string], row: number) =>
    name === 'user_id'
      ? '(select id from trial_user)'
      : row === MINIMAL && !ALWAYS.includes(name)
        ? 'null'
        : ((row === CANCELED ? OF_CANCELED[name] : null) ?? SAMPLES[name] ?? BY_TYPE[type] ?? 'null')
            .replace('N', String(row))
            .replace('ID', IDS[row] ?? '');
  const names = columns.map(([name]) => name).join(', ');
  const insert = (row: number) => {
    return `with trial_user as (select id from users limit 1)
      insert into meetings (${names}) select ${columns.map((column) => value(column, row)).join(', ')}
      where exists (select from trial_user)`;
  };
  try {
    await sql.savepoint(async (trial) => {
      const hasUser = await withUser(trial);
      for (const row of IDS.keys()) {
        const { count } = await trial.unsafe(insert(row));
        if (hasUser && count === 0) throw refusal([DISCARDED], true);
      }
      await trial.unsafe('set constraints all immediate');
      throw new Undo();
    });
  } catch (error) {
    if (!(error instanceof Undo)) throw refused(error);
  }
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

function refused(error: unknown): CalendlySyncError | unknown {
  const code = errorCode(error);
  if (code === null || !/^[0-9A-Z]{5}$/.test(code) || /^(08|57|55P03|40)/.test(code)) return error;
  const { message, where, hint } = error as { message: string; where?: string; hint?: string };
  const at = where ? ` (${where.split('\n')[0]})` : '';
  return refusal(
    [
      {
        problem: `meetings does not accept a row from Calendly: ${message} (SQLSTATE ${code})${at}`,
        fix: hint ?? 'Change that rule of meetings, so that rows from Calendly satisfy it.',
      },
    ],
    true,
  );
}
