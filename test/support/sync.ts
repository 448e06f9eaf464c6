/** Runs `sync` against a sandbox and a test database, with short pauses between retries. */
import { onTestFinished } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { parseResources } from '../../src/resources/names.js';
import type { Sandbox } from '../../src/sandbox/sandbox.js';
import type { SyncEvent, UserResult } from '../../src/sync/report.js';
import { type SyncOptions, type SyncResult, sync } from '../../src/sync/sync.js';

export interface TestSync {
  result: SyncResult;
  /** The one account's result. */
  user: UserResult;
  events: SyncEvent[];
}

/** The settings of a sync of meetings alone: tests count its requests. */
export function configOf(sandbox: Sandbox, host = 0, resources = 'off') {
  const calendlyToken = sandbox.hosts[host]?.token ?? '';
  return { calendlyToken, calendlyApiUrl: sandbox.url, resources: parseResources(resources) };
}

/** Returns a function that runs one sync and returns its result and events; the connections close with the test. */
export function syncing(sandbox: Sandbox, databaseUrl: string, host = 0) {
  const database = openServer(databaseUrl);
  onTestFinished(() => database.close());
  return async (options: Partial<SyncOptions> = {}): Promise<TestSync> => {
    const events: SyncEvent[] = [];
    const result = await sync({
      config: configOf(sandbox, host),
      database,
      signal: new AbortController().signal,
      onEvent: (event) => events.push(event),
      timing: { retryPauseMs: 5, timeoutMs: 2_000 },
      ...options,
    });
    const user = result.users[0];
    if (!user) throw new Error('the sync returned no account');
    return { result, user, events };
  };
}
