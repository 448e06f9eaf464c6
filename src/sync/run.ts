/** What the steps of one run share: list, read and write. Holds no logic of any of them. */
import type { Lease } from '../accounts/lease.js';
import type { CalendlyClient } from '../calendly/client.js';
import type { Database, Sql } from '../database/connection.js';
import type { Build } from '../database/literal-sql.js';
import { persistentQuery, persistentTransaction } from '../database/retry.js';
import type { MissingReason } from '../database/tables/meetings.js';
import type { Pending, PendingKind } from '../database/tables/pending-events.js';
import type { Observation } from '../resources/meetings/diff.js';
import { later } from '../resources/meetings/standing.js';
import type { Plan } from './plan.js';
import type { Reporter } from './report.js';

/** The account of a run. */
export interface RunAccount {
  /** Null if it is not stored yet (in a dry run). */
  id: string | null;
  calendlyUri: string;
  email: string | null;
  organizationUri?: string | null;
}

/** One run of one account. */
export interface Run {
  database: Database;
  client: CalendlyClient;
  account: RunAccount;
  /** `users.id`; null if the user is not stored yet (in a dry run). */
  userId: string | null;
  plan: Plan;
  /** Null in a dry run: nothing may be written. */
  lease: Lease | null;
  report: Reporter;
  /** Aborted when the run must end; its reason is the error. The client's requests end with it. */
  signal: AbortSignal;
  /** Ends the run with this error. */
  abort(error: unknown): void;
  /** Max requests in progress. */
  concurrency: number | undefined;
  /** The current time in ms since 1970. */
  now(): number;
  /** The database's time as canonical text, or a little before: what a request returns now is newer than that. */
  databaseNow(): string;
  /** Reads in a transaction of its own, retried on transient failures. */
  read<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /** The same with one statement, in one round trip. */
  query<Row extends object>(build: Build<Row>): Promise<Row[]>;
}

/** The result of one event of a run, to be written with others in one transaction. */
export interface Item {
  uri: string;
  /** What Calendly reported. */
  observation?: Observation;
  /** Calendly does not have it, or not for this user. */
  missing?: MissingReason;
  /** Calendly has it, although it was not listed. */
  present?: boolean;
  /** It could not be read. */
  failure?: string;
  /** What still has to be asked for; otherwise nothing. */
  next?: Pending | null;
}

/** Opens the clock and the reads of a run. @param databaseTime the database's time just now, as canonical text */
export function openRun(parts: Omit<Run, 'databaseNow' | 'read' | 'query'>, databaseTime: string): Run {
  const { database, lease, signal } = parts;
  const opened = performance.now();
  return {
    ...parts,
    databaseNow: () => later(databaseTime, performance.now() - opened),
    read: (work) =>
      lease ? persistentTransaction(database, work, signal) : database.transaction(work, { readOnly: true }),
    query: (build) => (lease ? persistentQuery(database, build, signal) : database.query(build)),
  };
}

// Nothing starts 12 years away; the number is that of seconds.
const TIER = 400_000_000;

/** How urgent an event is: the next meeting first, then the past ones, the newest first, then everything else. */
export function urgencyOf(kind: PendingKind, start?: string | null, now = 0): number {
  if (kind !== 'invitees') return { unlisted: 2 * TIER, no_show: 3 * TIER, audit: 4 * TIER }[kind];
  const distance = (Date.parse(start ?? '') - now) / 1_000;
  if (Number.isNaN(distance)) return 2 * TIER - 1;
  return Math.min(Math.floor(Math.abs(distance)), TIER - 1) + (distance < 0 ? TIER : 0);
}
