/**
 * CPU time per event of a first sync, over the client's own transport and over `fetch`: the same library in processes
 * of its own, turn by turn. Figures, never asserted.
 */
import { execFileSync } from 'node:child_process';
import type { HttpTransport } from '../../src/calendly/transport.js';
import type { SyncOptions } from '../../src/sync/sync.js';
import { emptyTables, withSandbox } from './sync.js';

const ROUNDS = 5;
const TRANSPORTS = ['node_http', 'fetch'] as const;

export interface ClientFigures {
  events: number;
  /** Medians. */
  cpu_us_per_event: { node_http: number; fetch: number };
  /** Of the medians: below 1, the client needs less CPU than with `fetch`. */
  cpu_to_fetch: number;
}

export async function benchClient(databaseUrl: string, events: number): Promise<ClientFigures> {
  const seconds = { node_http: [] as number[], fetch: [] as number[] };
  const flags = { events, latency: 0, rateLimit: 100_000_000 };
  await withSandbox(flags, databaseUrl, async (settings) => {
    for (let round = 0; round < ROUNDS; round++) {
      for (const transport of TRANSPORTS) {
        await emptyTables(databaseUrl);
        const argv = ['--import', 'tsx', import.meta.filename, transport];
        const env = { PATH: process.env.PATH, ...settings };
        seconds[transport].push(Number(execFileSync(process.execPath, argv, { env, encoding: 'utf8' })));
      }
    }
  });
  const perEvent = (transport: keyof typeof seconds) =>
    Math.round(((seconds[transport].sort((a, b) => a - b)[ROUNDS >> 1] ?? 0) / events) * 1_000_000);
  const medians = { node_http: perEvent('node_http'), fetch: perEvent('fetch') };
  const ratio = Math.round((medians.node_http / medians.fetch) * 100) / 100;
  return { events, cpu_us_per_event: medians, cpu_to_fetch: ratio };
}

const overFetch: HttpTransport = async ({ url, body, ...request }) => {
  const response = await fetch(url, { ...request, redirect: 'manual', ...(body ? { body } : {}) });
  const headers = Object.fromEntries(response.headers);
  return { status: response.status, headers, text: await response.text() };
};

/** One first sync by the built library. @returns CPU seconds, those of loading it not counted */
async function firstSync(transport: HttpTransport | undefined): Promise<number> {
  const library = '../../dist/src/index.js';
  const { loadConfig, openServer, sync }: typeof import('../../src/index.js') = await import(library);
  const config = loadConfig(process.env);
  const database = openServer(config.databaseUrl ?? '');
  const options: SyncOptions = {
    config,
    database,
    transport,
    signal: new AbortController().signal,
    onEvent: () => {},
  };
  const before = process.cpuUsage();
  const { users } = await sync(options);
  const { user, system } = process.cpuUsage(before);
  await database.close();
  if (users[0]?.status !== 'complete') throw new Error(JSON.stringify(users));
  return (user + system) / 1_000_000;
}

if (process.argv[1] === import.meta.filename) {
  const seconds = await firstSync(process.argv[2] === 'fetch' ? overFetch : undefined);
  process.stdout.write(String(seconds));
}
