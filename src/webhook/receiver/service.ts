/**
 * The whole service in one process: the receiver, and beside it work that comes round every so often (the backup sync, the
 * cleaning), on one database. Ends when the signal says so, with everything in hand finished.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { WebhookHandler } from './handler.js';
import { startWebhookServer } from './server.js';

/** Work that comes round. Its failures are its own to report: the service goes on. */
export interface Chore {
  everyMs: number;
  run(signal: AbortSignal): Promise<void>;
}

export interface ServiceOptions {
  handler: WebhookHandler;
  host: string;
  port: number;
  chores: Chore[];
  signal: AbortSignal;
  /** Called once it listens. */
  onListening(url: string): void;
}

/** Runs until the signal is aborted; then answers what is in hand, lets the chores stop cleanly, and resolves. */
export async function runWebhookService(options: ServiceOptions): Promise<void> {
  const { handler, host, port, signal } = options;
  const server = await startWebhookServer(handler, { host, port });
  options.onListening(server.url);
  const chores = options.chores.map((chore) => repeat(chore, signal));
  if (!signal.aborted) {
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  }
  await Promise.all([server.close(), ...chores]);
}

/** The first time at once, then at even distances; one that takes longer than its distance is never run beside itself. */
async function repeat({ everyMs, run }: Chore, signal: AbortSignal): Promise<void> {
  let next = performance.now();
  while (!signal.aborted) {
    await run(signal);
    next = Math.max(next + everyMs, performance.now());
    await delay(next - performance.now(), undefined, { signal }).catch(() => {});
  }
}
