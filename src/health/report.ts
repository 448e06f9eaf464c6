/**
 * The health report: users, webhook events, migrations, and every problem with the command that fixes it. Reads the
 * database and, unless offline, asks Calendly about webhook subscriptions. Does not print.
 */
import { type ClientOptions, createCalendlyClient } from '../calendly/client.js';
import type { ProxySettings } from '../calendly/proxy.js';
import type { Config } from '../config.js';
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
import { type ResourceOff, readResourcesOff } from '../database/tables/resources.js';
import { CalendlySyncError } from '../errors.js';
import { type HostWarning, readHostWarnings } from '../migrations/schema/warnings.js';
import { type MigrationStatus, migrationStatus } from '../migrations/status.js';
import { isRunning, parseIdentity } from '../process-identity.js';
import { inspectWebhooks } from '../webhook/subscriptions/inspect.js';
import type { ListedSubscription } from '../webhook/subscriptions/subscribe.js';
import type { Check } from './check.js';
import { checkAccounts } from './checks/accounts.js';
import { checkHost } from './checks/host.js';
import { checkMigrations } from './checks/migrations.js';
import { checkWebhooks } from './checks/webhooks.js';
import type { Problem } from './problem.js';
import { type UserHealth, userHealth } from './status.js';

export interface HealthOptions {
  database: Database;
  config: Pick<Config, 'calendlyToken' | 'calendlyApiUrl' | 'webhookSigningKeys'> & ProxySettings;
  /** `users.id` or e-mail of the users to report; empty: every connected one. */
  users?: readonly string[];
  /** Max age of a user's last complete sync, in ms. */
  maxAgeMs: number;
  /** Reads the database only. Otherwise Calendly is asked if there is a token and a webhook subscription of ours. */
  offline?: boolean;
  signal?: AbortSignal;
  /** Called after each request to Calendly. */
  onAttempt?: ClientOptions['onAttempt'];
}

export interface HealthReport {
  /** True if there is no problem at all, of a user or of the database. */
  healthy: boolean;
  /** The database's clock when the report was made. */
  checked_at: Date;
  users: UserHealth[];
  /** Rows of `users` without a Calendly account; they count for nothing else. */
  users_not_connected: number;
  /** Problems that do not belong to a single user. */
  problems: Problem[];
  /** What an operator should know of the application's tables, though it is no problem yet. */
  warnings: HostWarning[];
  /** What could not be read beside meetings. That is no problem: it is off until the plan or the scopes allow it. */
  resources: ResourceOff[];
  webhook_events: WebhookEventCount[];
  webhook_subscriptions: ListedSubscription[];
  migrations: Pick<MigrationStatus, 'applied' | 'pending'>;
}

/** In the order in which their problems are shown. */
const CHECKS: readonly Check[] = [checkMigrations, checkHost, checkWebhooks, checkAccounts];
/** A report does not wait long for a Calendly that does not answer. */
const CALENDLY_TIMEOUT_MS = 5_000;

/**
 * Creates the report. A failure of Calendly is a problem in it, not an error.
 * @throws CalendlySyncError `schema_not_ready` without the tables, `user_unknown` if a named user does not exist
 */
export async function healthReport(options: HealthOptions): Promise<HealthReport> {
  const { database, config, users: named = [], maxAgeMs } = options;
  const { hasSyncState, now, states, unconnected, events, resources } = await database.transaction(
    async (sql) => {
      const { hasSyncState } = await requireSchema(sql);
      const states = await readUserStates(sql, [...named], hasSyncState);
      return {
        hasSyncState,
        now: await databaseNow(sql),
        states,
        resources: await readResourcesOff(sql, named.length > 0 ? states.map((one) => one.user_id) : null),
        unconnected: await countUnconnected(sql),
        events: hasSyncState ? await readWebhookEventCounts(sql) : [],
      };
    },
    { readOnly: true },
  );
  requireNamed(named, states);
  const migrations = await migrationStatus(database);
  const host = await readHostWarnings(database);
  const { calendlyToken: token, webhookSigningKeys: signingKeys } = config;
  const client = clientFor(options);
  const webhooks = hasSyncState ? await inspectWebhooks({ database, client, token, signingKeys }) : null;
  const users = states.map((state) => userHealth(state, { now, maxAgeMs, holderRuns: holderRuns(state) }));
  const problems = CHECKS.flatMap((check) => check({ users, migrations, host, webhooks }));
  const { applied, pending } = migrations;
  return {
    healthy: problems.length === 0 && users.every((user) => user.problems.length === 0),
    checked_at: now,
    users,
    users_not_connected: unconnected,
    problems,
    warnings: host.filter(({ code }) => code !== 'meetings_open'),
    resources,
    webhook_events: events,
    webhook_subscriptions: webhooks?.listed ?? [],
    migrations: { applied, pending },
  };
}

function clientFor({ config, offline, signal, onAttempt }: HealthOptions) {
  const { calendlyToken: token, calendlyApiUrl: baseUrl } = config;
  if (offline || token === null) return null;
  return createCalendlyClient({
    baseUrl,
    token,
    proxies: config,
    signal,
    onAttempt,
    timeoutMs: CALENDLY_TIMEOUT_MS,
  });
}

function holderRuns({ lease_owner: owner }: UserState): boolean | null {
  const holder = owner === null ? null : parseIdentity(owner);
  return holder && isRunning(holder);
}

function requireNamed(named: readonly string[], states: UserState[]): void {
  const known = new Set(
    states.flatMap(({ user_id, email }) => [user_id.toLowerCase(), email?.toLowerCase()]),
  );
  const missing = named.filter((name) => !known.has(name.toLowerCase()));
  if (missing.length === 0) return;
  throw new CalendlySyncError('user_unknown', `There is no user ${missing.join(', ')} in users.`, {
    hint: 'Name a user by users.id or by e-mail.',
  });
}
