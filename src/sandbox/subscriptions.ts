/** Webhook subscriptions: who wants to hear of what, and where. Knows no HTTP; delivering is `deliveries.ts`. */
import { uriOf, uuidOf } from './identifiers.js';
import { formatInstant, type Micros } from './microseconds.js';

/** Kinds of events that a subscription can name; only those of invitees happen here. */
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
type WebhookEvent = (typeof WEBHOOK_EVENTS)[number];

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
  /** Never shown; without it deliveries are unsigned. */
  signingKey: string | null;
}

/** What is asked for when one is made. */
export interface SubscriptionDraft {
  url: string;
  events: WebhookEvent[];
  scope: 'user' | 'organization';
  organization: string;
  user: string | null;
  creator: string;
  signingKey: string | null;
}

export interface Subscriptions {
  /** null when the same listener has one for this URL already, whatever its state. */
  create(draft: SubscriptionDraft): Subscription | null;
  find(uri: string): Subscription | null;
  all(): Subscription[];
  remove(uri: string): void;
  /** Notes that deliveries fail since now, or arrive again. */
  setRetrying(subscription: Subscription, retrying: boolean): void;
  /** Gives up on it, as Calendly does: nobody is told. */
  disable(subscription: Subscription): void;
}

export function createSubscriptions(seed: number, stamp: () => Micros): Subscriptions {
  const subscriptions = new Map<string, Subscription>();
  let counter = 0;
  const touch = ({ resource }: Subscription, change: Partial<SubscriptionResource>) =>
    Object.assign(resource, change, { updated_at: formatInstant(stamp()) });
  return {
    create({ url, signingKey, ...draft }) {
      const rival = [...subscriptions.values()].find(
        ({ resource }) =>
          resource.callback_url === url && resource.scope === draft.scope && resource.user === draft.user,
      );
      if (rival) return null;
      const created = formatInstant(stamp());
      const resource: SubscriptionResource = {
        uri: uriOf('webhook_subscriptions', uuidOf(seed, 801, counter++)),
        callback_url: url,
        created_at: created,
        updated_at: created,
        retry_started_at: null,
        state: 'active',
        ...draft,
        group: null,
      };
      const subscription = { resource, signingKey };
      subscriptions.set(resource.uri, subscription);
      return subscription;
    },
    find: (uri) => subscriptions.get(uri) ?? null,
    all: () => [...subscriptions.values()],
    remove: (uri) => subscriptions.delete(uri),
    setRetrying(subscription, retrying) {
      if ((subscription.resource.retry_started_at !== null) === retrying) return;
      touch(subscription, { retry_started_at: retrying ? formatInstant(stamp()) : null });
    },
    disable: (subscription) => touch(subscription, { state: 'disabled' }),
  };
}
