/**
 * The receiver as a fetch-style handler, `Request → Promise<Response>`, for any backend. A delivery is answered 2xx
 * only after the transaction that stores it has committed; anything that prevents this is answered so that Calendly
 * retries.
 */
import { MIN_KEY_LENGTH } from '../../calendly/signature.js';
import type { Database } from '../../database/connection.js';
import { CalendlySyncError } from '../../errors.js';
import { createByteBudget } from './byte-budget.js';
import { createCommitQueue } from './commit.js';
import { type Endpoint, type Incoming, json, type Reply, toEndpoint } from './exchange.js';
import { createIntake } from './intake.js';
import { createLockWaiters } from './lock-waiters.js';
import type { OnReceiverEvent } from './log-lines.js';
import { createMetrics } from './metrics.js';
import { createProbe } from './probe.js';
import { createRejections } from './rejections.js';
import { setupPage } from './setup-page.js';
import { createStatusPage, type StatusPage } from './status-page.js';
import { createWaitingDeliveries } from './waiting-deliveries.js';

export interface WebhookHandlerOptions {
  database: Database;
  /** Signing keys; a delivery signed with any of them is authentic. At least one: there is no insecure mode. */
  signingKeys: readonly string[];
  /** Max age of a signature, in ms. Default: 24 h, as long as Calendly retries. */
  toleranceMs?: number;
  /** Path of the receiver; `…/test` is below it. Default: /api/calendly/webhook. */
  path?: string;
  /** Origin under which Calendly reaches the receiver, shown by `…/test`. Default: that of the request. */
  publicUrl?: string | null;
  /** Called for each delivery and, now and then, with the rejected requests; `logLines` turns events into text. */
  onEvent?: OnReceiverEvent;
  /** The current time, in ms since 1970. */
  now?: () => number;
  /** How long a body may take to arrive, in ms. Default: 10 s. */
  bodyTimeoutMs?: number;
  /** How long a commit may take before the sender gets a 503, in ms. Default: 12 s; Calendly waits 15 s. */
  commitTimeoutMs?: number;
  /** Stores deliveries of hosts who are not connected without their body: then none is applied later. Default: false. */
  discardUnmatched?: boolean;
  /** Further metrics in the Prometheus text format, for `/metrics` of the admin endpoint. */
  moreMetrics?: () => Promise<string>;
  /** The page at `/`, of the handler and of the admin endpoint; `local` says which of them listen on this machine only. */
  statusPage?: StatusPage & { local: { main: boolean; admin: boolean } };
}

/** The handler. It serves the receiver's path, `…/test` and `/healthz`. */
export interface WebhookHandler extends Endpoint {
  /** For operators only: `/metrics`, and `/healthz` and `/test` with details. Mount it behind authentication. */
  admin: Endpoint;
  /** `/healthz` is 503 from now on, so that load balancers send nothing more; deliveries are still accepted. */
  drain(): void;
  /** Counts a connection that the server closed because of its limit. */
  connectionDropped(): void;
  /** Waits for pending deliveries and writes the last counts; the database stays open. */
  close(): Promise<void>;
}

export const WEBHOOK_PATH = '/api/calendly/webhook';
const DAY_MS = 86_400_000;
/** Bytes of all requests in memory. */
const MAX_BYTES = 16 * 1_048_576;

type Page = (incoming: Incoming) => Promise<Reply>;

/**
 * Creates the receiver.
 * @throws CalendlySyncError `settings` without a signing key, or if one is too short
 */
export function createWebhookHandler(options: WebhookHandlerOptions): WebhookHandler {
  const { database, now = Date.now, path = WEBHOOK_PATH, onEvent = () => {} } = options;
  const { toleranceMs = DAY_MS, bodyTimeoutMs = 10_000, commitTimeoutMs = 12_000 } = options;
  const { publicUrl = null, discardUnmatched = false, moreMetrics = async () => '' } = options;
  const keys = requireSigningKeys(options.signingKeys);
  const budget = createByteBudget(MAX_BYTES);
  const waiters = createLockWaiters();
  const queue = createCommitQueue({ database, waiters, discardUnmatched });
  const waiting = createWaitingDeliveries(database, waiters, (result) =>
    onEvent({ type: 'retried', result }),
  );
  const metrics = createMetrics(now);
  const rejections = createRejections(database, (counts) => onEvent({ type: 'rejected', counts }));
  const probe = createProbe(database);
  const verify = { keys, toleranceMs, bodyTimeoutMs, budget, now };
  const onStored = waiting.onStored;
  const receive = createIntake({
    verify,
    queue,
    metrics,
    rejections,
    probe,
    onEvent,
    onStored,
    commitTimeoutMs,
  });
  const setup = { url: publicUrl, path, keys: keys.length, toleranceMs };
  let draining = false;

  async function health(details: boolean): Promise<Reply> {
    const state = await probe();
    const ok = state === 'ready' && !draining;
    return json(ok ? 200 : 503, details ? { ok, database: state, draining } : { ok });
  }

  async function metricsPage(): Promise<Reply> {
    const own = metrics.text({ inFlight: queue.size(), bytes: budget.used() });
    const headers = { 'content-type': 'text/plain; version=0.0.4' };
    return { status: 200, headers, body: own + (await moreMetrics()) };
  }

  const test = async ({ origin }: Incoming, details: boolean) =>
    json(200, setupPage({ ...setup, origin, database: await probe() }, details));
  const { statusPage } = options;
  const root = (isLocal: boolean) => (statusPage ? { '/': createStatusPage(statusPage, isLocal) } : {});
  const pages = router({
    ...root(statusPage?.local.main === true),
    '/healthz': () => health(false),
    [`${path}/test`]: (incoming) => test(incoming, false),
  });
  const admin = router({
    ...root(statusPage?.local.admin === true),
    '/healthz': () => health(true),
    '/metrics': metricsPage,
    '/test': (incoming) => test(incoming, true),
  });
  const endpoint = toEndpoint((incoming) => (incoming.path === path ? receive(incoming) : pages(incoming)));
  return Object.assign(endpoint, {
    admin: toEndpoint(admin),
    drain() {
      draining = true;
    },
    connectionDropped: metrics.connectionDropped,
    async close() {
      waiting.close();
      await queue.idle();
      await rejections.close();
    },
  });
}

/** Pages that may only be read. */
function router(pages: Record<string, Page>): Page {
  const byPath = new Map(Object.entries(pages));
  return async (incoming) => {
    const page = byPath.get(incoming.path);
    if (!page) return json(404, { error: 'not found' });
    if (incoming.method === 'GET' || incoming.method === 'HEAD') return page(incoming);
    return json(405, { error: 'wrong_method' }, { allow: 'GET, HEAD' });
  };
}

/** The keys that are not empty. @throws CalendlySyncError `settings` if there is none */
export function requireSigningKeys(signingKeys: readonly string[]): string[] {
  const keys = signingKeys.filter((key) => key !== '');
  if (keys.length === 0) {
    throw new CalendlySyncError('settings', 'CALENDLY_WEBHOOK_SIGNING_KEY is not set.', {
      hint:
        'Without a key, a forged delivery cannot be detected. ' +
        'To create one: calendly-sync webhook subscribe --url https://…',
    });
  }
  if (keys.some((key) => key.length < MIN_KEY_LENGTH)) {
    throw new CalendlySyncError(
      'settings',
      `A webhook signing key must have at least ${MIN_KEY_LENGTH} characters.`,
      { hint: 'Keys are separated by commas: a key must not contain one.' },
    );
  }
  return keys;
}
