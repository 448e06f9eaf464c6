/**
 * Webhook subscriptions and their deliveries: at least once, in no guaranteed order, signed when the subscription has
 * a key. A delivery is retried with back-off until the receiver answers 2xx or the subscription is disabled.
 */
import { createHmac } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { uriOf } from './organization.js';
import { type Random, uuidBy } from './random.js';
import { type EventResource, type Invitee, isHostedBy } from './resources.js';
import { type Clock, formatInstant, SECOND } from './time.js';

const INVITEE_EVENTS = ['invitee.created', 'invitee.canceled'] as const;
const NO_SHOW_EVENTS = ['invitee_no_show.created', 'invitee_no_show.deleted'] as const;
const TYPE_EVENTS = ['event_type.created', 'event_type.updated', 'event_type.deleted'] as const;
const SUBMISSION_EVENTS = ['routing_form_submission.created'] as const;
/** Events that a subscription can name. Only those of invitees occur in the sandbox. */
export const WEBHOOK_EVENTS = [
  ...INVITEE_EVENTS,
  ...NO_SHOW_EVENTS,
  ...TYPE_EVENTS,
  ...SUBMISSION_EVENTS,
] as const;
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number];

/** What the creator of a subscription decides. */
export interface SubscriptionRequest {
  callback_url: string;
  events: WebhookEvent[];
  scope: 'user' | 'organization';
  organization: string;
  user: string | null;
  creator: string;
}

/** Without a signing key, which is never shown, deliveries are unsigned. */
export type Subscription = ReturnType<typeof createSubscription>;
type Delivery = ReturnType<typeof createDelivery>;

const FIRST_RETRY_MS = 10_000;
const MAX_PAUSE_MS = 3_600_000;
/** A receiver that fails for so long has its subscription disabled. */
const GIVE_UP_MS = 86_400_000;
const READ_TIMEOUT_MS = 15_000;
const MAX_KEPT = 10_000;

type Settings = Readonly<{ retry_scale: number; created_at_digits: number }>;

export function createWebhooks(random: Random, clock: Clock, settings: Settings) {
  const subscriptions = new Map<string, Subscription>();
  const deliveries: Delivery[] = [];
  const running = new Set<Promise<void>>();
  const stop = new AbortController();
  // Every delivery that waits for its retry listens to the signal.
  setMaxListeners(0, stop.signal);

  const update = ({ resource }: Subscription, change: Partial<Subscription['resource']>) =>
    Object.assign(resource, change, { updated_at: clock.stamp() });
  const isActive = ({ resource: { state, uri } }: Subscription) =>
    state === 'active' && subscriptions.has(uri);

  async function sendUntilDelivered(delivery: Delivery, subscription: Subscription): Promise<void> {
    const began = performance.now();
    const { resource } = subscription;
    for (let retry = 0; !stop.signal.aborted; retry++) {
      const { status, error } = await send(delivery, stop.signal);
      delivery.attempts.push({ at: formatInstant(clock.now()), status, error });
      if (status !== null && status >= 200 && status < 300) {
        delivery.state = 'delivered';
        if (resource.retry_started_at !== null) update(subscription, { retry_started_at: null });
        return;
      }
      if (resource.retry_started_at === null) update(subscription, { retry_started_at: clock.stamp() });
      const pause = Math.min(FIRST_RETRY_MS * 2 ** retry, MAX_PAUSE_MS) * settings.retry_scale;
      const isTooLate = performance.now() - began + pause > GIVE_UP_MS * settings.retry_scale;
      // Calendly reports this to nobody.
      if (isTooLate && isActive(subscription)) update(subscription, { state: 'disabled' });
      if (!isTooLate) await sleep(pause, undefined, { signal: stop.signal, ref: false }).catch(() => {});
      if (!isActive(subscription)) break;
    }
    delivery.state = 'given_up';
  }

  return {
    /** null when there is a subscription for the same URL, scope and user, whatever its state. */
    subscribe(request: SubscriptionRequest, signingKey: string | null): Subscription | null {
      const keyOf = ({ callback_url, scope, user }: SubscriptionRequest) =>
        `${callback_url} ${scope} ${user}`;
      const key = keyOf(request);
      if ([...subscriptions.values()].some(({ resource }) => keyOf(resource) === key)) return null;
      const uri = uriOf('webhook_subscriptions', uuidBy(random));
      const subscription = createSubscription(uri, clock.stamp(), request, signingKey);
      subscriptions.set(uri, subscription);
      return subscription;
    },
    find: (uri: string) => subscriptions.get(uri),
    subscriptions: () => [...subscriptions.values()].map(({ resource }) => resource),
    unsubscribe: (uri: string) => subscriptions.delete(uri),
    disable: (subscription: Subscription) => update(subscription, { state: 'disabled' }),

    /** Starts to send a change of an invitee to every subscription that asked for it. */
    announce(event: WebhookEvent, scheduled: EventResource, invitee: Invitee): void {
      const created_at = clock.stamp(settings.created_at_digits);
      for (const subscription of subscriptions.values()) {
        const { scope, user, events, creator } = subscription.resource;
        const isConcerned = scope === 'organization' || isHostedBy(scheduled, user ?? '');
        if (!isActive(subscription) || !events.includes(event) || !isConcerned) continue;
        const payload = { ...invitee, scheduled_event: abridged(scheduled) };
        const body = JSON.stringify({ event, created_at, created_by: creator, payload });
        const delivery = createDelivery(event, subscription, body, Math.floor(clock.now() / SECOND));
        if (deliveries.push(delivery) > MAX_KEPT) deliveries.shift();
        const sending = sendUntilDelivered(delivery, subscription).finally(() => running.delete(sending));
        running.add(sending);
      }
    },
    deliveries: () => structuredClone(deliveries),
    /** Resolves when nothing is being sent and nothing waits for a retry. */
    async settled(): Promise<void> {
      while (running.size > 0) await Promise.all(running);
    },
    /** Drops everything that is pending. */
    close: () => stop.abort(),
  };
}

/** The event as a delivery carries it: without the calendar event and the buffered times. */
function abridged({ calendar_event: _calendar, ...event }: EventResource) {
  const hosts = event.event_memberships.map(({ user, user_email, user_name }) => ({
    user,
    user_email,
    user_name,
  }));
  return { ...event, event_memberships: hosts };
}

function createSubscription(
  uri: string,
  created_at: string,
  asked: SubscriptionRequest,
  signingKey: string | null,
) {
  const state = 'active' as 'active' | 'disabled';
  const times = { created_at, updated_at: created_at, retry_started_at: null as string | null };
  return { resource: { uri, ...times, state, group: null, ...asked }, signingKey };
}

/** @param t Unix time of the signature in seconds; a retry carries that of the first attempt */
function createDelivery(
  event: WebhookEvent,
  { resource, signingKey }: Subscription,
  body: string,
  t: number,
) {
  const headers: Record<string, string> = { 'content-type': 'application/json', 'user-agent': 'Calendly' };
  if (signingKey !== null) {
    const v1 = createHmac('sha256', signingKey).update(`${t}.${body}`).digest('hex');
    headers['calendly-webhook-signature'] = `t=${t},v1=${v1}`;
  }
  const state = 'pending' as 'pending' | 'delivered' | 'given_up';
  /** The status of each attempt to send it, or why there was none. */
  const attempts: { at: string; status: number | null; error: string | null }[] = [];
  return { event, url: resource.callback_url, body, headers, state, attempts };
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
