/**
 * `/webhook_subscriptions`: create, list, get and delete. The API has no call to change one. Knows no database, and not
 * which subscriptions are ours.
 */
import { z } from 'zod';
import { statusOf } from './errors.js';
import type { Send } from './http.js';
import type { Pages } from './pages.js';
import { resourceOf, resourcePath } from './resource.js';

const text = z.string().nullish();

const subscriptionSchema = z.looseObject({
  uri: z.string().min(1),
  callback_url: text,
  /** `active`, or `disabled` for good after a day of failed deliveries. */
  state: text,
  events: z.array(z.string()).nullish().catch(null),
  scope: text,
  organization: text,
  user: text,
  creator: text,
  /** Since when deliveries fail; the only sign before the subscription is disabled. */
  retry_started_at: text,
  created_at: text,
});

/** A webhook subscription as Calendly returns it, without its signing key. */
export type Subscription = z.infer<typeof subscriptionSchema>;

/** Whose bookings a subscription covers. */
export interface SubscriptionScope {
  scope: 'user' | 'organization';
  organization: string;
  /** The user of scope `user`. */
  user: string;
}

/** All methods throw CalendlySyncError `calendly_*`, or the signal's reason. */
export interface SubscriptionsApi {
  /** Creates one. `taken`: there is already one for this URL. */
  create(
    scope: SubscriptionScope,
    wanted: { url: string; events: readonly string[]; signingKey: string },
  ): Promise<{ made: Subscription } | { taken: true }>;
  /** All of one scope, every page. */
  list(scope: SubscriptionScope): Promise<Subscription[]>;
  /** One; null if it no longer exists. */
  get(uri: string): Promise<Subscription | null>;
  /** Deletes one; succeeds if it no longer exists. */
  remove(uri: string): Promise<void>;
}

const PATH = '/webhook_subscriptions';

/** Binds the endpoints to a client's transport. */
export function createSubscriptionsApi(send: Send, pages: Pages): SubscriptionsApi {
  const resource = resourceOf(PATH, parseSubscription);
  return {
    async create(scope, { url, events, signingKey }) {
      const body = { url, events, ...parametersOf(scope), signing_key: signingKey };
      const made = await orElse(409, null, send('POST', PATH, resource, body));
      return made === null ? { taken: true } : { made };
    },
    async list(scope) {
      const found: Subscription[] = [];
      for await (const { rows } of pages(PATH, () => parametersOf(scope), parseSubscription))
        found.push(...rows);
      return found;
    },
    get: async (uri) => orElse(404, null, send('GET', resourcePath(uri), resource)),
    remove: async (uri) =>
      orElse(
        404,
        undefined,
        send('DELETE', resourcePath(uri), () => {}),
      ),
  };
}

/** The request's result, or `fallback` when Calendly answers with this status. */
async function orElse<T, F>(status: number, fallback: F, request: Promise<T>): Promise<T | F> {
  try {
    return await request;
  } catch (error) {
    if (statusOf(error) === status) return fallback;
    throw error;
  }
}

function parametersOf({ scope, organization, user }: SubscriptionScope): Record<string, string> {
  return scope === 'user' ? { organization, scope, user } : { organization, scope };
}

function parseSubscription(raw: unknown): Subscription | null {
  return subscriptionSchema.safeParse(raw).data ?? null;
}
