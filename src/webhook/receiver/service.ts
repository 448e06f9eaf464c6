/**
 * The whole service in one process: the receiver and, beside it, periodic tasks (the backup sync, the cleaning) on
 * the same database. Gets the tasks as functions and knows nothing of them.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { WebhookHandler } from './handler.js';
import { startWebhookServer } from './server.js';

/** A task that runs again and again. It must handle its own errors. */
export interface PeriodicTask {
  everyMs: number;
  run(signal: AbortSignal): Promise<void>;
}

export interface ServiceOptions {
  handler: WebhookHandler;
  host: string;
  port: number;
  tasks: PeriodicTask[];
  signal: AbortSignal;
  /** Called once the server listens. */
  onListening(url: string): void;
}

/** Runs until the signal is aborted; then answers what is in progress, lets the tasks stop cleanly, and resolves. */
export async function runWebhookService(options: ServiceOptions): Promise<void> {
  const { handler, host, port, signal } = options;
  const server = await startWebhookServer(handler, { host, port });
  options.onListening(server.url);
  const tasks = options.tasks.map((task) => repeat(task, signal));
  if (!signal.aborted) {
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  }
  await Promise.all([server.close(), ...tasks]);
}

/** Starts at once, then at a fixed rate. A run that takes longer than the interval delays the next one. */
async function repeat({ everyMs, run }: PeriodicTask, signal: AbortSignal): Promise<void> {
  let next = performance.now();
  while (!signal.aborted) {
    await run(signal);
    next = Math.max(next + everyMs, performance.now());
    await delay(next - performance.now(), undefined, { signal }).catch(() => {});
  }
}
