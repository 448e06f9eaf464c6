/**
 * Sends webhooks: at least once, in no promised order, signed when the subscription has a key, again and again with
 * back-off when the receiver does not answer 2xx, until the subscription is disabled. Knows the network and no routes.
 */
import { createHmac } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Change } from './bookings.js';
import type { Clock } from './clock.js';
import { formatInstant } from './microseconds.js';
import type { EventResource } from './resources.js';
import type { Subscription, Subscriptions } from './subscriptions.js';

/** One try to send a delivery: the status, or why there was none. */
interface Attempt {
  at: string;
  status: number | null;
  error: string | null;
}

/** One webhook to one subscription. */
export interface Delivery {
  id: number;
  event: string;
  subscription: string;
  url: string;
  body: string;
  headers: Record<string, string>;
  attempts: Attempt[];
  state: 'pending' | 'delivered' | 'given_up';
}

export interface Deliveries {
  /** Begins to tell everybody who wants to hear of the change. */
  announce(change: Change): void;
  /** The newest deliveries, oldest first. */
  list(): Delivery[];
  /** Sends a delivery once more, as at-least-once allows; false when it is unknown. */
  repeat(id: number): boolean;
  /** How much faster (below 1) than in life retries follow each other and are given up. */
  setRetryScale(scale: number): void;
  /** Done when nothing is on its way and nothing waits to be sent again. */
  settled(): Promise<void>;
  /** Drops what is on its way. */
  close(): void;
}

const FIRST_RETRY_MS = 10_000;
const LONGEST_PAUSE_MS = 3_600_000;
/** For so long a receiver may fail before its subscription is disabled. */
const PATIENCE_MS = 86_400_000;
const READ_TIMEOUT_MS = 15_000;
const KEPT = 10_000;

export function createDeliveries(subscriptions: Subscriptions, clock: Clock): Deliveries {
  const deliveries: Delivery[] = [];
  const running = new Set<Promise<void>>();
  const stop = new AbortController();
  // Every delivery that waits to be sent again listens to it.
  setMaxListeners(0, stop.signal);
  let counter = 0;
  let scale = 1;

  const run = (delivery: Delivery, subscription: Subscription) => {
    const sending = persist(delivery, subscription).finally(() => running.delete(sending));
    running.add(sending);
  };

  /** Tries until it arrives, or until the subscription has failed for too long. */
  async function persist(delivery: Delivery, subscription: Subscription): Promise<void> {
    const began = performance.now();
    for (let retry = 0; !stop.signal.aborted; retry++) {
      const attempt = await send(delivery, stop.signal);
      delivery.attempts.push({ at: formatInstant(clock.now()), ...attempt });
      if (attempt.status !== null && attempt.status >= 200 && attempt.status < 300) {
        delivery.state = 'delivered';
        return subscriptions.setRetrying(subscription, false);
      }
      subscriptions.setRetrying(subscription, true);
      const pause = Math.min(FIRST_RETRY_MS * 2 ** retry, LONGEST_PAUSE_MS) * scale;
      const tooLate = performance.now() - began + pause > PATIENCE_MS * scale;
      if (tooLate && subscription.resource.state === 'active') subscriptions.disable(subscription);
      if (tooLate || !(await paused(pause, stop.signal))) break;
      if (!isWanted(subscription)) break;
    }
    delivery.state = 'given_up';
  }

  const isWanted = ({ resource }: Subscription) =>
    resource.state === 'active' && subscriptions.find(resource.uri) !== null;

  return {
    announce(change) {
      // Later than the change, and the same for all who hear of it.
      const createdAt = formatInstant(clock.stamp());
      for (const subscription of subscriptions.all()) {
        if (!isWanted(subscription) || !wants(subscription, change)) continue;
        const delivery = createDelivery(++counter, change, createdAt, subscription, clock);
        deliveries.push(delivery);
        if (deliveries.length > KEPT) deliveries.shift();
        run(delivery, subscription);
      }
    },
    list: () => structuredClone(deliveries),
    repeat(id) {
      const delivery = deliveries.find((one) => one.id === id);
      const subscription = delivery && subscriptions.find(delivery.subscription);
      if (!subscription) return false;
      run(delivery, subscription);
      return true;
    },
    setRetryScale(next) {
      scale = next;
    },
    async settled() {
      while (running.size > 0) await Promise.all(running);
    },
    close: () => stop.abort(),
  };
}

/** Waits; false when the sandbox ends first. */
function paused(ms: number, stop: AbortSignal): Promise<boolean> {
  return sleep(ms, true, { signal: stop, ref: false }).catch(() => false);
}

function wants({ resource }: Subscription, { kind, event }: Change): boolean {
  if (!resource.events.includes(kind)) return false;
  return (
    resource.scope === 'organization' || event.event_memberships.some(({ user }) => user === resource.user)
  );
}

function createDelivery(
  id: number,
  change: Change,
  createdAt: string,
  subscription: Subscription,
  clock: Clock,
): Delivery {
  const { resource, signingKey } = subscription;
  const body = JSON.stringify({
    event: change.kind,
    created_at: createdAt,
    created_by: resource.creator,
    payload: { ...change.invitee, scheduled_event: abridged(change.event) },
  });
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'user-agent': 'Calendly-Sandbox',
  };
  if (signingKey !== null) headers['calendly-webhook-signature'] = signatureOf(signingKey, body, clock);
  return {
    id,
    event: change.kind,
    subscription: resource.uri,
    url: resource.callback_url,
    body,
    headers,
    attempts: [],
    state: 'pending',
  };
}

/** The event as a delivery carries it: without the calendar's event and the buffered times. */
function abridged({ calendar_event: _calendar, event_memberships, ...event }: EventResource) {
  const hosts = event_memberships.map(
    ({ buffered_start_time: _start, buffered_end_time: _end, ...host }) => host,
  );
  return { ...event, event_memberships: hosts };
}

/** Made once: a retry carries the first attempt's time. */
function signatureOf(key: string, body: string, clock: Clock): string {
  const t = Math.floor(clock.now() / 1_000_000);
  return `t=${t},v1=${createHmac('sha256', key).update(`${t}.${body}`).digest('hex')}`;
}

async function send({ url, body, headers }: Delivery, stop: AbortSignal): Promise<Omit<Attempt, 'at'>> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(READ_TIMEOUT_MS)]);
  try {
    const response = await fetch(url, { method: 'POST', body, headers, signal, redirect: 'manual' });
    await response.body?.cancel();
    return { status: response.status, error: null };
  } catch (thrown) {
    const { message, cause } = thrown as Error & { cause?: { code?: string; message?: string } };
    return { status: null, error: cause?.code ?? cause?.message ?? message };
  }
}
