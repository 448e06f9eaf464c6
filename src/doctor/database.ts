/** What `doctor` checks in the database: connection, clock, rights, schema, the last sync, stored tokens. */
import { open, type SealedPlace } from '../accounts/seal.js';
import { countOf } from '../counting.js';
import type { Database } from '../database/connection.js';
import { readServerFacts, type ServerFacts } from '../database/server-facts.js';
import { listTokens } from '../database/tables/tokens.js';
import { toCalendlySyncError } from '../errors.js';
import type { HealthReport } from '../health/report.js';
import { type Finding, findingsOf } from './finding.js';

const MIN_POSTGRES = 13;
/** Clocks that differ by more make the ages in reports wrong. */
const MAX_SKEW_MS = 60_000;

/** Connection, version, TLS, clock and rights. @throws CalendlySyncError if the database cannot be reached */
export async function checkServer({ transaction, kind, label }: Database): Promise<Finding[]> {
  // The first transaction connects.
  await transaction(readServerFacts, { readOnly: true });
  const started = Date.now();
  const facts = await transaction(readServerFacts, { readOnly: true });
  const ms = Date.now() - started;
  const server = checkVersion(facts, kind, label, ms);
  if (kind === 'embedded') return [server];
  const skewMs = Math.round(facts.now.getTime() - (started + ms / 2));
  const clock = findingsOf('clock', label);
  const differ = `it differs from this machine's by ${(Math.abs(skewMs) / 1_000).toFixed(1)} s`;
  return [
    server,
    Math.abs(skewMs) > MAX_SKEW_MS
      ? clock.failed(differ, 'Synchronize the clocks of both machines: timedatectl set-ntp true')
      : clock.ok(differ),
    checkRights(facts, label),
  ];
}

function checkVersion(facts: ServerFacts, kind: Database['kind'], label: string, ms: number): Finding {
  const server = findingsOf('database', label);
  const { version, versionNumber, role, tls, isLocal, isStandby } = facts;
  if (versionNumber < MIN_POSTGRES * 10_000)
    return server.failed(`Postgres ${version} is too old`, `Use Postgres ${MIN_POSTGRES} or newer.`);
  if (isStandby)
    return server.failed('it is a standby, which refuses writes', 'DATABASE_URL must name the primary.');
  const how = kind === 'embedded' ? 'in this process' : `as ${role}, ${tls ?? 'without TLS'}, ${ms} ms`;
  const message = `Postgres ${version} ${how}`;
  return kind === 'embedded' || tls || isLocal
    ? server.ok(message)
    : server.warning(message, 'If others can read this network, add sslmode=require to DATABASE_URL.');
}

function checkRights({ role, owner, tables, closed }: ServerFacts, label: string): Finding {
  const rights = findingsOf('rights', `role ${role} in ${label}`);
  if (tables.length === 0) return rights.skipped('there are no tables yet');
  if (closed.length === 0) return rights.ok(`may read and write ${countOf(tables.length, 'table')}`);
  return rights.failed(
    `may not read and write every row of ${closed.join(', ')}`,
    `Connect as ${owner}, or let ${owner} run: grant "${owner}" to "${role}"; dashboards need only: calendly-sync grant-read ROLE`,
  );
}

/** Schema, webhooks, accounts and the last sync: the problems that `health` reports, as findings. */
export function checkHealth(report: HealthReport, label: string): Finding[] {
  const { users, problems, migrations } = report;
  const isSchema = (code: string) => code === 'migrations_pending' || code === 'schema_drift';
  const schema = findingsOf('schema', label);
  const health = findingsOf('health', label);
  const found = [
    ...problems.map((problem) => ({ ...problem, name: '' })),
    ...users.flatMap(({ email, user_id, problems: own }) =>
      own.map((problem) => ({ ...problem, name: `${email ?? user_id}: ` })),
    ),
  ].map(({ code, name, message, hint }) => (isSchema(code) ? schema : health).failed(name + message, hint));
  const last = Math.max(...users.map(({ last_calendly_sync: time }) => time?.getTime() ?? 0), 0);
  const synced = last > 0 ? `last complete sync ${new Date(last).toISOString()}` : 'no complete sync yet';
  return [
    ...(found.some(({ check }) => check === 'schema')
      ? []
      : [schema.ok(`${countOf(migrations.applied.length, 'migration')} applied, none pending, no drift`)]),
    ...(found.some(({ check }) => check === 'health')
      ? []
      : [health.ok(`${countOf(users.length, 'account')}, ${synced}, no problem`)]),
    ...found,
  ];
}

/** Whether CALENDLY_SYNC_KEY opens every stored token. */
export async function checkStoredTokens(database: Database, keys: readonly string[]): Promise<Finding> {
  const finding = findingsOf('stored tokens', `calendly_tokens, CALENDLY_SYNC_KEY`);
  const stored = await database.transaction(listTokens, { readOnly: true });
  if (stored.length === 0) return finding.skipped('none is stored');
  const errors = stored.flatMap(({ calendlyUri, access, refresh }) => {
    const openOne = (field: SealedPlace['field'], sealed: Buffer) =>
      open(keys, { field, calendlyUri }, sealed);
    try {
      openOne('access', access);
      if (refresh) openOne('refresh', refresh);
      return [];
    } catch (error) {
      return [toCalendlySyncError(error)];
    }
  });
  const [first] = errors;
  return first
    ? finding.failed(`${errors.length} of ${stored.length} do not open: ${first.message}`, first.hint)
    : finding.ok(`${stored.length === 1 ? 'the one stored token opens' : `all ${stored.length} open`}`);
}
