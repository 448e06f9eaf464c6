/**
 * The whole service in one process: the receiver and, beside it, periodic tasks (the backup sync, the cleaning) on
 * the same database. Gets the tasks as functions and knows nothing of them.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { CalendlySyncError } from '../../errors.js';
import { withDeadline } from './deadline.js';
import type { WebhookHandler } from './handler.js';
import { type Address, listen, startWebhookServer } from './server.js';

/** A task that runs again and again. It must handle its own errors. */
export interface PeriodicTask {
  everyMs: number;
  run(signal: AbortSignal): Promise<void>;
}

export interface ServiceOptions {
  handler: WebhookHandler;
  address: Address;
  /** Where metrics and details are served; null: nowhere. */
  adminAddress: Address | null;
  tasks: PeriodicTask[];
  /** How long `/healthz` is 503 before no more requests are accepted, in ms. */
  drainMs: number;
  signal: AbortSignal;
  /** Called once the servers listen. */
  onListening(url: string, adminUrl: string | null): void;
}

/** Orchestrators kill after 30 s; closing the database takes up to 5 s more. */
const STOP_TIMEOUT_MS = 18_000;
/** Processes that start together must not do everything together. */
const MAX_START_OFFSET_MS = 5_000;

/**
 * Runs until the signal is aborted; then answers what is in progress, lets the tasks stop cleanly, and resolves.
 * @throws CalendlySyncError `settings` if an address is not available; `database_unreachable` if the database still keeps
 * the service from stopping after 18 s
 */
export async function runWebhookService(options: ServiceOptions): Promise<void> {
  const { handler, address, adminAddress, drainMs, signal } = options;
  const server = await startWebhookServer(handler, address);
  const admin = await (adminAddress && listen(handler.admin, adminAddress))?.catch(async (error) => {
    await server.close();
    throw error;
  });
  options.onListening(server.url, admin?.url ?? null);
  const tasks = options.tasks.map((task) => repeat(task, signal));
  if (!signal.aborted) {
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  }
  handler.drain();
  if (drainMs > 0) await delay(drainMs);
  const stopped = Promise.all([server.close(), ...tasks]);
  await withDeadline(stopped, STOP_TIMEOUT_MS, () => {
    throw stopTimeout();
  }).finally(() => admin?.close());
}

/** Starts within seconds, then at a fixed rate. A run that takes longer than the interval delays the next one. */
async function repeat({ everyMs, run }: PeriodicTask, signal: AbortSignal): Promise<void> {
  let next = performance.now() + Math.random() * Math.min(everyMs / 10, MAX_START_OFFSET_MS);
  while (!signal.aborted) {
    await delay(Math.max(0, next - performance.now()), undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    await run(signal);
    next = Math.max(next + everyMs, performance.now());
  }
}

function stopTimeout(): CalendlySyncError {
  return new CalendlySyncError(
    'database_unreachable',
    `Stopped after ${STOP_TIMEOUT_MS / 1_000} s although the database had not answered.`,
    { hint: 'Deliveries that were not stored got no 2xx: Calendly sends them again.' },
  );
}
