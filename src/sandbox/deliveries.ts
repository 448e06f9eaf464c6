/**
 * Sends webhooks: at least once, in no guaranteed order, signed when the subscription has a key. A delivery is retried
 * with back-off until the receiver answers 2xx or the subscription is disabled. Knows no routes.
 */
import { createHmac } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventResource, InviteeResource } from './resources.js';
import type { Subscription, Subscriptions, WebhookEvent } from './subscriptions.js';
import { formatInstant, type SandboxClock, SECOND } from './time.js';

/** A change that webhooks report. */
export interface InviteeChange {
  kind: WebhookEvent;
  event: EventResource;
  invitee: InviteeResource;
}

/** One webhook to one subscription. */
export interface Delivery {
  id: number;
  event: string;
  subscription: string;
  url: string;
  body: string;
  headers: Record<string, string>;
  /** Each attempt to send it: the status, or why there was none. */
  attempts: { at: string; status: number | null; error: string | null }[];
  state: 'pending' | 'delivered' | 'given_up';
}

/** How webhooks are sent. */
export interface WebhookSettings {
  /** Below 1, retries follow each other and are given up that much faster than in reality. */
  retry_scale: number;
  /** Fraction digits of the envelope's `created_at`. Calendly sends whole seconds, which may precede the change. */
  created_at_digits: number;
}

export type Deliveries = ReturnType<typeof createDeliveries>;

const FIRST_RETRY_MS = 10_000;
const MAX_PAUSE_MS = 3_600_000;
/** A receiver that fails for so long has its subscription disabled. */
const GIVE_UP_MS = 86_400_000;
const READ_TIMEOUT_MS = 15_000;
const MAX_KEPT = 10_000;

export function createDeliveries(subscriptions: Subscriptions, clock: SandboxClock) {
  const settings: WebhookSettings = { retry_scale: 1, created_at_digits: 0 };
  const deliveries: Delivery[] = [];
  const running = new Set<Promise<void>>();
  const stop = new AbortController();
  // Every delivery that waits for its retry listens to the signal.
  setMaxListeners(0, stop.signal);
  let counter = 0;

  const start = (delivery: Delivery, subscription: Subscription) => {
    const sending = sendUntilDelivered(delivery, subscription).finally(() => running.delete(sending));
    running.add(sending);
  };

  async function sendUntilDelivered(delivery: Delivery, subscription: Subscription): Promise<void> {
    const began = performance.now();
    for (let retry = 0; !stop.signal.aborted; retry++) {
      const attempt = await send(delivery, stop.signal);
      delivery.attempts.push({ at: formatInstant(clock.now()), ...attempt });
      if (attempt.status !== null && attempt.status >= 200 && attempt.status < 300) {
        delivery.state = 'delivered';
        return subscriptions.setRetrying(subscription, false);
      }
      subscriptions.setRetrying(subscription, true);
      const pause = Math.min(FIRST_RETRY_MS * 2 ** retry, MAX_PAUSE_MS) * settings.retry_scale;
      const tooLate = performance.now() - began + pause > GIVE_UP_MS * settings.retry_scale;
      if (tooLate && subscription.resource.state === 'active') subscriptions.disable(subscription);
      if (tooLate || !(await waited(pause, stop.signal)) || !isActive(subscription)) break;
    }
    delivery.state = 'given_up';
  }

  const isActive = ({ resource }: Subscription) =>
    resource.state === 'active' && subscriptions.find(resource.uri) !== undefined;

  return {
    settings,
    /** Starts to send a change to every subscription that asked for it. */
    announce(change: InviteeChange): void {
      const createdAt = formatInstant(clock.stamp(), settings.created_at_digits);
      for (const subscription of subscriptions.all()) {
        if (!isActive(subscription) || !isSubscribed(subscription, change)) continue;
        const delivery = createDelivery(++counter, change, createdAt, subscription, clock);
        deliveries.push(delivery);
        if (deliveries.length > MAX_KEPT) deliveries.shift();
        start(delivery, subscription);
      }
    },
    /** The newest deliveries, oldest first. */
    list: (): Delivery[] => structuredClone(deliveries),
    /** Sends a delivery once more; false when it is unknown. */
    repeat(id: number): boolean {
      const delivery = deliveries.find((one) => one.id === id);
      const subscription = delivery && subscriptions.find(delivery.subscription);
      if (!subscription) return false;
      start(delivery, subscription);
      return true;
    },
    /** Resolves when nothing is being sent and nothing waits for a retry. */
    async settled(): Promise<void> {
      while (running.size > 0) await Promise.all(running);
    },
    /** Drops everything that is pending. */
    close: () => stop.abort(),
  };
}

/** Waits; false when the sandbox is closed first. */
function waited(ms: number, stop: AbortSignal): Promise<boolean> {
  return sleep(ms, true, { signal: stop, ref: false }).catch(() => false);
}

function isSubscribed({ resource }: Subscription, { kind, event }: InviteeChange): boolean {
  if (!resource.events.includes(kind)) return false;
  return (
    resource.scope === 'organization' || event.event_memberships.some(({ user }) => user === resource.user)
  );
}

function createDelivery(
  id: number,
  { kind, event, invitee }: InviteeChange,
  created_at: string,
  { resource, signingKey }: Subscription,
  clock: SandboxClock,
): Delivery {
  const payload = { ...invitee, scheduled_event: abridged(event) };
  const body = JSON.stringify({ event: kind, created_at, created_by: resource.creator, payload });
  const headers: Record<string, string> = { 'content-type': 'application/json', 'user-agent': 'Calendly' };
  // Signed once: a retry carries the time of the first attempt.
  if (signingKey !== null) headers['calendly-webhook-signature'] = signatureOf(signingKey, body, clock);
  const { uri: subscription, callback_url: url } = resource;
  return { id, event: kind, subscription, url, body, headers, attempts: [], state: 'pending' };
}

/** The event as a delivery carries it: without the calendar event and the buffered times. */
function abridged({ calendar_event: _calendar, event_memberships, ...event }: EventResource) {
  const hosts = event_memberships.map(
    ({ buffered_start_time: _start, buffered_end_time: _end, ...host }) => host,
  );
  return { ...event, event_memberships: hosts };
}

function signatureOf(key: string, body: string, clock: SandboxClock): string {
  const t = Math.floor(clock.now() / SECOND);
  return `t=${t},v1=${createHmac('sha256', key).update(`${t}.${body}`).digest('hex')}`;
}

async function send({ url, body, headers }: Delivery, stop: AbortSignal) {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(READ_TIMEOUT_MS)]);
  try {
    const response = await fetch(url, { method: 'POST', body, headers, signal, redirect: 'manual' });
    await response.body?.cancel();
    return { status: response.status, error: null };
  } catch (error) {
    const { message, cause } = error as Error & { cause?: { code?: string; message?: string } };
    return { status: null, error: cause?.code ?? cause?.message ?? message };
  }
}
