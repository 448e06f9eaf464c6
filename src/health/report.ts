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
  type LastRun,
  readDatabaseFacts,
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
import { version } from '../version.js';
import { inspectWebhooks } from '../webhook/subscriptions/inspect.js';
import type { ListedSubscription } from '../webhook/subscriptions/subscribe.js';
import type { Check } from './check.js';
import { checkAccounts } from './checks/accounts.js';
import { checkHost } from './checks/host.js';
import { checkMigrations } from './checks/migrations.js';
import { checkToken } from './checks/token.js';
import { checkWebhooks } from './checks/webhooks.js';
import type { Problem } from './problem.js';
import { type UserHealth, userHealth } from './status.js';
import { askForToken, type RateLimit, rateLimitOf, type TokenHealth } from './token.js';

export interface HealthOptions {
  database: Database;
  config: Pick<Config, 'calendlyToken' | 'calendlyApiUrl' | 'webhookSigningKeys'> & ProxySettings;
  /** `users.id` or e-mail of the users to report; empty: every connected one. */
  users?: readonly string[];
  /**
   * Max age of a user's last complete sync, in ms. Default: 4 times the median gap of the recorded runs, at least 1 h and
   * at most 24 h; 24 h if too few are recorded.
   */
  maxAgeMs?: number | undefined;
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
  /** Deliveries that could not be applied, that wait for a lock, and that were rejected in 24 hours. */
  deliveries: { failed: number; waiting: number; rejected_24h: number };
  migrations: Pick<MigrationStatus, 'applied' | 'pending'>;
  /** Of all reported users. An unchanged check is not recorded. */
  runs_24h: { complete: number; failed: number };
  /** The latest recorded run of the reported users. */
  last_run: LastRun | null;
  /** The first of the reported users. */
  next_meeting: UserHealth['next_meeting'];
  token: TokenHealth;
  /** Null if Calendly was not asked, or did not say. */
  rate_limit: RateLimit | null;
  /** Where the database is. */
  database: string;
  schema: string;
  /** Its size; null if the role may not know it. */
  database_bytes: number | null;
  /** Of calendly-sync. */
  version: string;
}

/** In the order in which their problems are shown. */
const CHECKS: readonly Check[] = [checkMigrations, checkHost, checkToken, checkWebhooks, checkAccounts];
/** A report does not wait long for a Calendly that does not answer. */
const CALENDLY_TIMEOUT_MS = 5_000;

/**
 * Creates the report. A failure of Calendly is a problem in it, not an error.
 * @throws CalendlySyncError `schema_not_ready` without the tables, `user_unknown` if a named user does not exist
 */
export async function healthReport(options: HealthOptions): Promise<HealthReport> {
  const { database, config, users: named = [], maxAgeMs = null } = options;
  const { calendlyToken, webhookSigningKeys: signingKeys } = config;
  const client = clientFor(options);
  // Asked while the database works.
  const asked = askForToken(client, calendlyToken !== null);
  const { hasSyncState, now, states, unconnected, events, resources, facts } = await database.transaction(
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
        facts: await readDatabaseFacts(sql),
      };
    },
    { readOnly: true },
  );
  requireNamed(named, states);
  const migrations = await migrationStatus(database);
  const host = await readHostWarnings(database);
  const webhooks = hasSyncState
    ? await inspectWebhooks({ database, client, token: calendlyToken, signingKeys })
    : null;
  const token = await asked;
  const users = states.map((state) => userHealth(state, { now, maxAgeMs, holderRuns: holderRuns(state) }));
  const problems = CHECKS.flatMap((check) => check({ users, migrations, host, token, webhooks }));
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
    deliveries: {
      failed: webhooks?.failed.count ?? 0,
      waiting: webhooks?.waiting.count ?? 0,
      rejected_24h: webhooks?.rejections.reduce((sum, { count }) => sum + count, 0) ?? 0,
    },
    migrations: { applied, pending },
    ...latestOf(users),
    token,
    rate_limit: rateLimitOf(client),
    database: database.label,
    schema: facts.schema,
    database_bytes: facts.bytes,
    version,
  };
}

function latestOf(users: UserHealth[]): Pick<HealthReport, 'runs_24h' | 'last_run' | 'next_meeting'> {
  const sum = (key: 'complete' | 'failed') => users.reduce((all, { runs_24h }) => all + runs_24h[key], 0);
  const [last_run = null] = users
    .flatMap(({ last_run }) => last_run ?? [])
    .sort((a, b) => +b.started_at - +a.started_at);
  const [next_meeting = null] = users
    .flatMap(({ next_meeting }) => next_meeting ?? [])
    .sort((a, b) => +a.start_time - +b.start_time);
  return { runs_24h: { complete: sum('complete'), failed: sum('failed') }, last_run, next_meeting };
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
