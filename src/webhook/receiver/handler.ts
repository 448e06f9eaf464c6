/**
 * The receiver as a fetch-style handler, `Request → Promise<Response>`, for any backend. A delivery is answered 2xx only after the
 * transaction that holds it is committed; whatever stands in the way is answered so that Calendly sends it again.
 */
import { parseJson } from '../../calendly/json.js';
import type { Database } from '../../database/connection.js';
import { requireSchema } from '../../database/schema.js';
import { CalendlySyncError, toCalendlySyncError } from '../../errors.js';
import { createIntake } from './commit.js';
import { type Delivery, INVITEE_KINDS, readDelivery } from './delivery.js';
import type { OnReceiverEvent, Rejection } from './log-lines.js';
import { createMetrics } from './metrics.js';
import { createRejections } from './rejections.js';
import { admit, STATUS_OF } from './verify-request.js';

export interface WebhookHandlerOptions {
  database: Database;
  /** Signing keys; a delivery signed with any of them is authentic. At least one: there is no insecure mode. */
  signingKeys: readonly string[];
  /** How far a delivery's time may be from ours, in ms. Default: 24 h, for as long as Calendly repeats one. */
  toleranceMs?: number;
  /** Path of the receiver; `…/test` is below it. Default: /api/calendly/webhook. */
  path?: string;
  /** Origin under which Calendly reaches the receiver, for `…/test`. Default: that of the request. */
  publicUrl?: string | null;
  /** Hears of what happens; `logLines` makes text of it. */
  onEvent?: OnReceiverEvent;
  /** What time it is, in ms since 1970. */
  now?: () => number;
  /** How long a body may take to arrive, in ms. Default: 10 s. */
  bodyTimeoutMs?: number;
  /** How long a commit may take before the sender is told to come again, in ms. Default: 12 s; Calendly waits 15 s. */
  commitTimeoutMs?: number;
}

/** The handler. `close` waits for what is in hand and writes the last counts; the database stays open. */
export interface WebhookHandler {
  (request: Request): Promise<Response>;
  close(): Promise<void>;
}

export const WEBHOOK_PATH = '/api/calendly/webhook';
const DAY_MS = 86_400_000;
/** Deliveries and bytes in hand beyond which a sender is told to come again. */
const MOST_IN_HAND = 5_000;
const MOST_BYTES = 64 * 1_048_576;
const PROBE_TIMEOUT_MS = 3_000;

/**
 * Makes the receiver.
 * @throws CalendlySyncError `settings` without a signing key
 */
export function createWebhookHandler(options: WebhookHandlerOptions): WebhookHandler {
  const { database, now = Date.now, path = WEBHOOK_PATH, onEvent = () => {} } = options;
  const keys = options.signingKeys.filter((key) => key !== '');
  if (keys.length === 0) throw noKey();
  const admission = {
    keys,
    toleranceMs: options.toleranceMs ?? DAY_MS,
    bodyTimeoutMs: options.bodyTimeoutMs ?? 10_000,
    now,
  };
  const commitTimeoutMs = options.commitTimeoutMs ?? 12_000;
  const intake = createIntake(database);
  const metrics = createMetrics(now);
  const rejections = createRejections(database, (counts) => onEvent({ type: 'rejected', counts }));
  const probe = createProbe(database);
  let bytes = 0;

  async function receive(request: Request): Promise<Response> {
    const started = performance.now();
    const admitted = await admit(request, admission);
    if ('refused' in admitted) return refuse(admitted.refused);
    const { body } = admitted;
    const delivery = understand(body);
    if (delivery === null) return refuse('invalid_json');
    if (intake.size() >= MOST_IN_HAND || bytes + body.byteLength > MOST_BYTES) return refuse('overloaded');
    bytes += body.byteLength;
    try {
      const outcome = await inTime(intake.take(delivery), commitTimeoutMs);
      metrics.received(delivery.eventType, outcome.status, (performance.now() - started) / 1_000);
      onEvent({ type: 'received', outcome });
      return json(200, { received: true, status: outcome.status });
    } catch (thrown) {
      metrics.failed();
      onEvent({ type: 'failed', message: toCalendlySyncError(thrown).message });
      return json(503, { error: 'not stored; send it again' });
    } finally {
      bytes -= body.byteLength;
    }
  }

  function refuse(reason: Rejection): Response {
    rejections.count(reason);
    metrics.rejected(reason);
    const headers = reason === 'wrong_method' ? { allow: 'POST' } : undefined;
    // Why a signature was not accepted is nobody's business but the operator's.
    return json(STATUS_OF[reason], { error: STATUS_OF[reason] === 401 ? 'unauthorized' : reason }, headers);
  }

  async function handle(request: Request): Promise<Response> {
    const { pathname, origin } = new URL(request.url);
    if (pathname === path) return receive(request);
    const answer = {
      [`${path}/test`]: () => describe(origin),
      '/healthz': health,
      '/metrics': async () =>
        new Response(`${metrics.text(intake.size())}\n`, {
          headers: { 'content-type': 'text/plain; version=0.0.4' },
        }),
    }[pathname];
    if (!answer) return json(404, { error: 'not found' });
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return json(405, { error: 'wrong_method' }, { allow: 'GET, HEAD' });
    return answer();
  }

  async function health(): Promise<Response> {
    const state = await probe();
    return json(state === 'ready' ? 200 : 503, { ok: state === 'ready', database: state });
  }

  async function describe(origin: string): Promise<Response> {
    const state = await probe();
    const base = options.publicUrl ?? origin;
    const missing = [
      ...(options.publicUrl == null
        ? ['The public URL: start the receiver with --public-url https://…']
        : []),
      ...(state === 'unreachable' ? ['The database does not answer.'] : []),
      ...(state === 'not_migrated' ? ['The schema: run calendly-sync migrate'] : []),
    ];
    return json(200, {
      webhook_url: `${base.replace(/\/+$/, '')}${path}`,
      method: 'POST',
      events: INVITEE_KINDS,
      configured: {
        signing_keys: keys.length,
        tolerance_seconds: Math.round(admission.toleranceMs / 1_000),
        public_url: options.publicUrl != null,
        database: state,
      },
      missing,
      ready: missing.length === 0,
    });
  }

  return Object.assign(handle, {
    async close() {
      await intake.idle();
      await rejections.close();
    },
  });
}

function understand(body: Uint8Array): Delivery | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    return readDelivery(parseJson(text), text);
  } catch {
    return null;
  }
}

/** Whether the database is ready, asked once however many want to know. */
function createProbe(database: Database) {
  let asking: Promise<'ready' | 'not_migrated' | 'unreachable'> | null = null;
  const ask = async () => {
    try {
      const { hasSyncState } = await database.transaction(requireSchema, { readOnly: true });
      return hasSyncState ? ('ready' as const) : ('not_migrated' as const);
    } catch (thrown) {
      const { code } = toCalendlySyncError(thrown);
      return code === 'schema_not_ready' ? ('not_migrated' as const) : ('unreachable' as const);
    }
  };
  return async () => {
    asking ??= ask().finally(() => {
      asking = null;
    });
    return inTime(asking, PROBE_TIMEOUT_MS).catch(() => 'unreachable' as const);
  };
}

/** The promise's result, or a failure when it takes longer. */
async function inTime<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new CalendlySyncError('database_unreachable', `The database took longer than ${ms} ms.`));
    }, ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function json(status: number, body: object, headers?: Record<string, string>): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json', ...headers },
  });
}

function noKey(): CalendlySyncError {
  return new CalendlySyncError('settings', 'CALENDLY_WEBHOOK_SIGNING_KEY is not set.', {
    hint: 'Without it nobody can tell a delivery of Calendly from a forged one. `calendly-sync webhook subscribe --url https://…` makes a key.',
  });
}
