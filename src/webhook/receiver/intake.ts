/**
 * Takes one delivery: verifies and parses it, waits for its commit, counts and reports the result, and answers the
 * sender.
 */
import { randomUUID } from 'node:crypto';
import { parseJson } from '../../calendly/json.js';
import { CalendlySyncError, toCalendlySyncError } from '../../errors.js';
import { PING_EVENT } from '../ping.js';
import type { DeliveryResult } from './apply-deliveries.js';
import type { Held } from './byte-budget.js';
import type { CommitQueue } from './commit.js';
import { withDeadline } from './deadline.js';
import { type Delivery, parseDelivery } from './delivery.js';
import { type Incoming, json, type Reply } from './exchange.js';
import type { OnReceiverEvent, Rejection } from './log-lines.js';
import type { Metrics } from './metrics.js';
import type { DatabaseState } from './probe.js';
import type { Rejections } from './rejections.js';
import { REJECTION_STATUS, type VerifyOptions, verifyRequest } from './verify-request.js';

export interface IntakeOptions {
  verify: VerifyOptions;
  queue: CommitQueue;
  metrics: Metrics;
  rejections: Rejections;
  probe: () => Promise<DatabaseState>;
  onEvent: OnReceiverEvent;
  /** Called after a delivery was stored. */
  onStored(): void;
  /** How long a commit may take before the sender gets a 503, in ms. */
  commitTimeoutMs: number;
}

/** Pending deliveries beyond which senders get a 503. */
const MAX_PENDING = 5_000;

export function createIntake(options: IntakeOptions): (incoming: Incoming) => Promise<Reply> {
  const { verify, queue, metrics, rejections, probe, onEvent, onStored, commitTimeoutMs } = options;

  return async (incoming) => {
    const started = performance.now();
    const requestId = requestIdOf(incoming);
    const verified = await verifyRequest(incoming, verify);
    const reply =
      'rejected' in verified ? reject(verified.rejected) : await accept(verified, requestId, started);
    return { ...reply, headers: { ...reply.headers, 'x-request-id': requestId } };
  };

  async function accept(
    { body, held }: { body: Uint8Array; held: Held },
    requestId: string,
    started: number,
  ): Promise<Reply> {
    const delivery = parse(body);
    const refused = delivery === null ? 'invalid_json' : queue.size() >= MAX_PENDING ? 'overloaded' : null;
    if (delivery === null || refused !== null || delivery.eventType === PING_EVENT) {
      held.release();
      return refused === null ? pong() : reject(refused);
    }
    const state = { answered: false };
    const stored = queue.enqueue(delivery).finally(held.release);
    const reported = stored.then((result) => report(result, requestId, started, state.answered));
    try {
      const result = await withDeadline(reported, commitTimeoutMs, () => {
        throw databaseTimeout(commitTimeoutMs);
      });
      return json(200, { received: true, status: result.status });
    } catch (error) {
      state.answered = true;
      metrics.notStored();
      onEvent({ type: 'not_stored', requestId, message: toCalendlySyncError(error).message });
      return json(503, { error: 'not stored; send it again' });
    }
  }

  /** @param late the sender got a 503 before */
  function report(result: DeliveryResult, requestId: string, started: number, late: boolean): DeliveryResult {
    const durationMs = performance.now() - started;
    const { status, delivery } = result;
    const { eventType } = delivery;
    metrics.stored({ eventType, status, durationMs, lagMs: lagOf(delivery, verify.now()), late });
    onEvent({ type: 'received', requestId, result, durationMs, late });
    onStored();
    return result;
  }

  function reject(reason: Rejection): Reply {
    rejections.count(reason);
    metrics.rejected(reason);
    const status = REJECTION_STATUS[reason];
    // Why a signature was rejected is for the operator only.
    const error = status === 401 ? 'unauthorized' : reason;
    return json(status, { error }, reason === 'wrong_method' ? { allow: 'POST' } : {});
  }

  /** The answer to `webhook ping`, which is signed and changes nothing. */
  async function pong(): Promise<Reply> {
    const database = await probe();
    return json(database === 'ready' ? 200 : 503, { received: true, status: 'pong', database });
  }
}

/** The id that a proxy gave the request, so that its log and ours can be compared; else a new one. */
function requestIdOf(incoming: Incoming): string {
  const given = incoming.header('x-request-id');
  return given !== null && /^[\w.-]{1,64}$/.test(given) ? given : randomUUID();
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function parse(body: Uint8Array): Delivery | null {
  try {
    const text = utf8.decode(body);
    return parseDelivery(parseJson(text), text);
  } catch {
    return null;
  }
}

/** From the time that the delivery carries to now, in ms. */
function lagOf({ body }: Delivery, now: number): number | null {
  const sentAt = typeof body === 'object' ? body.created_at : null;
  const ms = typeof sentAt === 'string' ? Date.parse(sentAt) : Number.NaN;
  return Number.isFinite(ms) ? now - ms : null;
}

function databaseTimeout(ms: number): CalendlySyncError {
  return new CalendlySyncError('database_unreachable', `The database took longer than ${ms} ms.`);
}
