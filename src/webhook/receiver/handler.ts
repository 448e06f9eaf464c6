/**
 * The receiver as a fetch-style handler, `Request → Promise<Response>`, for any backend. A delivery is answered 2xx
 * only after the transaction that stores it has committed; anything that prevents this is answered so that Calendly
 * retries.
 */
import { parseJson } from '../../calendly/json.js';
import type { Database } from '../../database/connection.js';
import { requireSchema } from '../../database/schema.js';
import { CalendlySyncError, toCalendlySyncError } from '../../errors.js';
import { createCommitQueue } from './commit.js';
import { withDeadline } from './deadline.js';
import { type Delivery, INVITEE_EVENTS, parseDelivery } from './delivery.js';
import type { OnReceiverEvent, Rejection } from './log-lines.js';
import { createMetrics } from './metrics.js';
import { createRejections } from './rejections.js';
import { REJECTION_STATUS, verifyRequest } from './verify-request.js';

export interface WebhookHandlerOptions {
  database: Database;
  /** Signing keys; a delivery signed with any of them is authentic. At least one: there is no insecure mode. */
  signingKeys: readonly string[];
  /** Max difference between the time of a signature and ours, in ms. Default: 24 h, as long as Calendly retries. */
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
}

/** The handler. `close` waits for pending deliveries and writes the last counts; the database stays open. */
export interface WebhookHandler {
  (request: Request): Promise<Response>;
  close(): Promise<void>;
}

export const WEBHOOK_PATH = '/api/calendly/webhook';
const DAY_MS = 86_400_000;
/** Pending deliveries and bytes beyond which senders get a 503. */
const MAX_PENDING = 5_000;
const MAX_PENDING_BYTES = 64 * 1_048_576;
const PROBE_TIMEOUT_MS = 3_000;

/**
 * Creates the receiver.
 * @throws CalendlySyncError `settings` without a signing key
 */
export function createWebhookHandler(options: WebhookHandlerOptions): WebhookHandler {
  const { database, now = Date.now, path = WEBHOOK_PATH, publicUrl = null, onEvent = () => {} } = options;
  const keys = options.signingKeys.filter((key) => key !== '');
  if (keys.length === 0) throw noKey();
  const { toleranceMs = DAY_MS, bodyTimeoutMs = 10_000, commitTimeoutMs = 12_000 } = options;
  const queue = createCommitQueue(database);
  const metrics = createMetrics(now);
  const rejections = createRejections(database, (counts) => onEvent({ type: 'rejected', counts }));
  const probe = createProbe(database);
  let pendingBytes = 0;

  async function receive(request: Request): Promise<Response> {
    const started = performance.now();
    const verified = await verifyRequest(request, { keys, toleranceMs, bodyTimeoutMs, now });
    if ('rejected' in verified) return reject(verified.rejected);
    const { body } = verified;
    const delivery = parse(body);
    if (delivery === null) return reject('invalid_json');
    const isFull = queue.size() >= MAX_PENDING || pendingBytes + body.byteLength > MAX_PENDING_BYTES;
    if (isFull) return reject('overloaded');
    pendingBytes += body.byteLength;
    try {
      const result = await withDeadline(queue.enqueue(delivery), commitTimeoutMs, () => {
        throw databaseTimeout(commitTimeoutMs);
      });
      metrics.received(delivery.eventType, result.status, (performance.now() - started) / 1_000);
      onEvent({ type: 'received', result });
      return json(200, { received: true, status: result.status });
    } catch (error) {
      metrics.notStored();
      onEvent({ type: 'not_stored', message: toCalendlySyncError(error).message });
      return json(503, { error: 'not stored; send it again' });
    } finally {
      pendingBytes -= body.byteLength;
    }
  }

  function reject(reason: Rejection): Response {
    rejections.count(reason);
    metrics.rejected(reason);
    const status = REJECTION_STATUS[reason];
    // Why a signature was rejected is for the operator only.
    const error = status === 401 ? 'unauthorized' : reason;
    return json(status, { error }, reason === 'wrong_method' ? { allow: 'POST' } : {});
  }

  async function handle(request: Request): Promise<Response> {
    const { pathname, origin } = new URL(request.url);
    if (pathname === path) return receive(request);
    const page = { [`${path}/test`]: () => setupPage(origin), '/healthz': health, '/metrics': metricsPage }[
      pathname
    ];
    if (!page) return json(404, { error: 'not found' });
    if (request.method === 'GET' || request.method === 'HEAD') return page();
    return json(405, { error: 'wrong_method' }, { allow: 'GET, HEAD' });
  }

  async function metricsPage(): Promise<Response> {
    const headers = { 'content-type': 'text/plain; version=0.0.4' };
    return new Response(metrics.text(queue.size()), { headers });
  }

  async function health(): Promise<Response> {
    const state = await probe();
    return json(state === 'ready' ? 200 : 503, { ok: state === 'ready', database: state });
  }

  async function setupPage(origin: string): Promise<Response> {
    const state = await probe();
    const missing = [
      ...(publicUrl === null ? ['The public URL: start the receiver with --public-url https://…'] : []),
      ...(state === 'unreachable' ? ['The database does not answer.'] : []),
      ...(state === 'not_migrated' ? ['The schema: run calendly-sync migrate'] : []),
    ];
    return json(200, {
      webhook_url: `${(publicUrl ?? origin).replace(/\/+$/, '')}${path}`,
      method: 'POST',
      events: INVITEE_EVENTS,
      configured: {
        signing_keys: keys.length,
        tolerance_seconds: Math.round(toleranceMs / 1_000),
        public_url: publicUrl !== null,
        database: state,
      },
      missing,
      ready: missing.length === 0,
    });
  }

  return Object.assign(handle, {
    async close() {
      await queue.idle();
      await rejections.close();
    },
  });
}

function parse(body: Uint8Array): Delivery | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    return parseDelivery(parseJson(text), text);
  } catch {
    return null;
  }
}

type DatabaseState = 'ready' | 'not_migrated' | 'unreachable';

/** Asks whether the database is ready; calls at the same time share one query. */
function createProbe(database: Database): () => Promise<DatabaseState> {
  let asking: Promise<DatabaseState> | null = null;
  const ask = async (): Promise<DatabaseState> => {
    try {
      const { hasSyncState } = await database.transaction(requireSchema, { readOnly: true });
      return hasSyncState ? 'ready' : 'not_migrated';
    } catch (error) {
      return toCalendlySyncError(error).code === 'schema_not_ready' ? 'not_migrated' : 'unreachable';
    }
  };
  return () => {
    asking ??= ask().finally(() => {
      asking = null;
    });
    return withDeadline(asking, PROBE_TIMEOUT_MS, () => 'unreachable');
  };
}

function json(status: number, body: object, headers: Record<string, string> = {}): Response {
  const type = { 'content-type': 'application/json' };
  return new Response(JSON.stringify(body), { status, headers: { ...type, ...headers } });
}

function databaseTimeout(ms: number): CalendlySyncError {
  return new CalendlySyncError('database_unreachable', `The database took longer than ${ms} ms.`);
}

function noKey(): CalendlySyncError {
  return new CalendlySyncError('settings', 'CALENDLY_WEBHOOK_SIGNING_KEY is not set.', {
    hint:
      'Without a key, a forged delivery cannot be detected. ' +
      'To create one: calendly-sync webhook subscribe --url https://…',
  });
}
