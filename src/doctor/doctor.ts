/** `doctor`: checks everything that a sync depends on, one after the other, and goes on after a failure. */
import type { Config, DescribedSetting } from '../config.js';
import type { Database } from '../database/connection.js';
import { listAccounts } from '../database/tables/accounts.js';
import { healthReport } from '../health/report.js';
import { databaseLabel, openDatabase } from '../open-database.js';
import { checkReceiver, checkToken, checkWay } from './calendly.js';
import { checkHealth, checkServer, checkStoredTokens } from './database.js';
import { type Finding, findingsOf } from './finding.js';
import { checkDisk, checkNode, checkSettings } from './machine.js';

export type { Finding } from './finding.js';

export interface DoctorOptions {
  config: Config;
  /** The settings with their sources. */
  settings: readonly DescribedSetting[];
  /** Sends nothing but statements to the database. */
  offline: boolean;
  /** The receiver's public URL, with its path; null: that of our subscription. */
  receiverUrl: string | null;
  signal: AbortSignal;
}

/** Yields each finding as soon as it is known. Throws only when it is aborted. */
export async function* doctor(options: DoctorOptions): AsyncGenerator<Finding, void, void> {
  const { config, settings, offline, signal } = options;
  yield checkNode();
  yield checkSettings(settings);
  yield await checkDisk(config.home);
  let { receiverUrl } = options;
  const connection = findingsOf('database', await databaseLabel(config));
  try {
    const database = await openDatabase(config, { create: false, signal });
    try {
      yield* await checkServer(database);
      yield* await checkTables(database, options);
      receiverUrl ??= await subscriptionUrl(database);
    } finally {
      await database.close();
    }
  } catch (error) {
    signal.throwIfAborted();
    yield connection.error(error);
  }
  if (offline) return;
  signal.throwIfAborted();
  yield await checkWay(config);
  yield* await checkToken(config, signal);
  yield* await checkReceiver(config, receiverUrl);
}

/** What needs our tables: one finding if they are missing. */
async function checkTables(
  database: Database,
  { config, offline, signal }: DoctorOptions,
): Promise<Finding[]> {
  try {
    const report = await healthReport({ database, config, offline, signal, maxAgeMs: 86_400_000 });
    return [...checkHealth(report, database.label), await checkStoredTokens(database, config.syncKeys)];
  } catch (error) {
    return [findingsOf('schema', database.label).error(error)];
  }
}

async function subscriptionUrl(database: Database): Promise<string | null> {
  const accounts = await database.transaction(listAccounts, { readOnly: true }).catch(() => []);
  return accounts.flatMap(({ subscriptionUrl: url }) => url ?? [])[0] ?? null;
}
