/**
 * The health report: users, webhook events, migrations, and every problem with what to type next. Reads the database only;
 * what Calendly says of its webhook subscriptions comes in as an argument. Shows nothing.
 */
import { countOf } from '../counting.js';
import type { Database } from '../database/connection.js';
import { requireSchema } from '../database/schema.js';
import {
  countUnconnected,
  databaseNow,
  readUserStates,
  readWebhookEventCounts,
  type UserState,
  type WebhookEventCount,
} from '../database/tables/health-queries.js';
import { type UserId, userIdForJson } from '../database/user-id.js';
import { CalendlySyncError } from '../errors.js';
import { type MigrationStatus, migrationStatus } from '../migrations/status.js';
import { isRunning, parseIdentity } from '../process-identity.js';
import { assessUser, type Problem, type UserStatus } from './status.js';

export interface HealthOptions {
  database: Database;
  /** users.id or e-mail of those to report; empty: every connected one. */
  users?: string[];
  /** How old the last complete sync of a user may be, in ms. */
  maxAgeMs: number;
  /** What Calendly says of the webhook subscriptions. */
  subscriptions?: object[];
  /** What is wrong with webhooks. */
  webhookProblems?: Problem[];
}

/** One user: the columns of `calendly_sync_health`, and what they mean. */
export interface UserHealth {
  user_id: UserId;
  email: string | null;
  last_calendly_sync: Date | null;
  calendly_initial_sync_complete: boolean | null;
  calendly_webhook_enabled: boolean | null;
  active_calendly_meetings: number;
  deleted_calendly_meetings: number;
  webhook_synced_meetings: number;
  last_meeting_sync: Date | null;
  webhook_events_received: number;
  status: UserStatus;
  /** A sync works on this user's account at this moment. */
  syncing: boolean;
  problems: Problem[];
}

export interface HealthReport {
  /** True when there is no problem at all, of a user or of the database. */
  healthy: boolean;
  /** The database's clock when the report was made. */
  checked_at: Date;
  users: UserHealth[];
  /** Rows of `users` that are linked to no Calendly account; they count for nothing else. */
  users_not_connected: number;
  /** Problems that are no single user's. */
  problems: Problem[];
  webhook_events: WebhookEventCount[];
  webhook_subscriptions: object[];
  migrations: Pick<MigrationStatus, 'applied' | 'pending'>;
}

/**
 * Makes the report.
 * @throws CalendlySyncError `schema_not_ready` when not even the tables are there, `user_unknown` when a named user is not
 */
export async function healthReport(options: HealthOptions): Promise<HealthReport> {
  const { database, users: named = [], maxAgeMs, subscriptions = [], webhookProblems = [] } = options;
  const read = await database.transaction(
    async (sql) => {
      const { hasSyncState } = await requireSchema(sql);
      return {
        now: await databaseNow(sql),
        states: await readUserStates(sql, named, hasSyncState),
        unconnected: await countUnconnected(sql),
        events: hasSyncState ? await readWebhookEventCounts(sql) : [],
      };
    },
    { readOnly: true },
  );
  const { applied, pending, drift } = await migrationStatus(database);
  requireNamed(named, read.states);

  const users = read.states.map((state) => userHealth(state, read.now, maxAgeMs));
  const problems = [...migrationProblems(pending), ...drift.map(driftProblem), ...webhookProblems];
  if (users.length === 0) {
    problems.push({
      code: 'no_account',
      message: 'no Calendly account is connected yet',
      hint: 'CALENDLY_TOKEN=… calendly-sync sync',
    });
  }
  return {
    healthy: problems.length === 0 && users.every((user) => user.problems.length === 0),
    checked_at: read.now,
    users,
    users_not_connected: read.unconnected,
    problems,
    webhook_events: read.events,
    webhook_subscriptions: subscriptions,
    migrations: { applied, pending },
  };
}

function userHealth(state: UserState, now: Date, maxAgeMs: number): UserHealth {
  const { status, problems, syncing } = assessUser(state, {
    now,
    maxAgeMs,
    holderRuns: holderRuns(state.lease_owner),
  });
  return {
    user_id: userIdForJson(state.user_id),
    email: state.email,
    last_calendly_sync: state.last_calendly_sync,
    calendly_initial_sync_complete: state.calendly_initial_sync_complete,
    calendly_webhook_enabled: state.calendly_webhook_enabled,
    active_calendly_meetings: state.active_calendly_meetings,
    deleted_calendly_meetings: state.deleted_calendly_meetings,
    webhook_synced_meetings: state.webhook_synced_meetings,
    last_meeting_sync: state.last_meeting_sync,
    webhook_events_received: state.webhook_events_received,
    status,
    syncing,
    problems,
  };
}

function holderRuns(leaseOwner: string | null): boolean | null {
  if (leaseOwner === null) return null;
  try {
    const holder = parseIdentity(JSON.parse(leaseOwner));
    return holder && isRunning(holder);
  } catch {
    return null;
  }
}

function migrationProblems(pending: MigrationStatus['pending']): Problem[] {
  if (pending.length === 0) return [];
  const names = pending.map(({ version, name }) => `${version}_${name}`).join(', ');
  const meaning = pending.some(({ version }) => Number(version) === 22)
    ? '; without 022 every sync is a full one, and webhook events are not recorded'
    : '';
  return [
    {
      code: 'migrations_pending',
      message: `${countOf(pending.length, 'migration')} not applied: ${names}${meaning}`,
      hint: 'calendly-sync migrate',
    },
  ];
}

function driftProblem({ object, problem }: MigrationStatus['drift'][number]): Problem {
  return {
    code: 'schema_drift',
    message: `${object}: ${problem}`,
    hint: 'calendly-sync migrate --status',
  };
}

function requireNamed(named: string[], states: UserState[]): void {
  const known = new Set(
    states.flatMap(({ user_id: id, email }) => [id.toLowerCase(), (email ?? id).toLowerCase()]),
  );
  const missing = named.filter((name) => !known.has(name.toLowerCase()));
  if (missing.length === 0) return;
  throw new CalendlySyncError('user_unknown', `There is no user ${missing.join(', ')} in users.`, {
    hint: 'A user is named by users.id or by e-mail.',
  });
}
