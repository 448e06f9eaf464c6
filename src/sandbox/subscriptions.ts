/** Webhook subscriptions: who wants to receive what, and where. Knows no HTTP; `deliveries.ts` sends. */
import { uriOf, uuidOf } from './ids.js';
import { formatInstant, type Micros } from './time.js';

/** Events that a subscription can name. Only those of invitees occur in the sandbox. */
export const WEBHOOK_EVENTS = [
  'invitee.created',
  'invitee.canceled',
  'invitee_no_show.created',
  'invitee_no_show.deleted',
  'routing_form_submission.created',
  'event_type.created',
  'event_type.updated',
  'event_type.deleted',
] as const;
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number];

/** A subscription as the API shows it. */
export interface SubscriptionResource {
  uri: string;
  callback_url: string;
  created_at: string;
  updated_at: string;
  retry_started_at: string | null;
  state: 'active' | 'disabled';
  events: WebhookEvent[];
  scope: 'user' | 'organization';
  organization: string;
  user: string | null;
  group: null;
  creator: string;
}

export interface Subscription {
  resource: SubscriptionResource;
  /** Never shown. Without it deliveries are unsigned. */
  signingKey: string | null;
}

/** What the creator of a subscription decides. */
export type SubscriptionRequest = Pick<
  SubscriptionResource,
  'callback_url' | 'events' | 'scope' | 'organization' | 'user' | 'creator'
>;

export type Subscriptions = ReturnType<typeof createSubscriptions>;

export function createSubscriptions(seed: number, stamp: () => Micros) {
  const subscriptions = new Map<string, Subscription>();
  let counter = 0;
  const update = ({ resource }: Subscription, change: Partial<SubscriptionResource>) =>
    Object.assign(resource, change, { updated_at: formatInstant(stamp()) });
  return {
    /** null when there is one for the same URL, scope and user, whatever its state. */
    create(request: SubscriptionRequest, signingKey: string | null): Subscription | null {
      const { callback_url, scope, user } = request;
      for (const { resource } of subscriptions.values()) {
        if (resource.callback_url === callback_url && resource.scope === scope && resource.user === user)
          return null;
      }
      const uri = uriOf('webhook_subscriptions', uuidOf(seed, 801, counter++));
      const created_at = formatInstant(stamp());
      const times = { created_at, updated_at: created_at, retry_started_at: null };
      const resource: SubscriptionResource = { uri, ...times, state: 'active', group: null, ...request };
      const subscription = { resource, signingKey };
      subscriptions.set(uri, subscription);
      return subscription;
    },
    find: (uri: string) => subscriptions.get(uri),
    all: () => [...subscriptions.values()],
    remove: (uri: string) => subscriptions.delete(uri),
    /** Records that deliveries fail, or arrive again. */
    setRetrying(subscription: Subscription, retrying: boolean) {
      if ((subscription.resource.retry_started_at !== null) === retrying) return;
      update(subscription, { retry_started_at: retrying ? formatInstant(stamp()) : null });
    },
    /** Disables it, as Calendly does after a day of failures, without telling anybody. */
    disable: (subscription: Subscription) => update(subscription, { state: 'disabled' }),
  };
}
