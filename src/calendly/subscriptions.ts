/**
 * `/webhook_subscriptions`: making, listing, looking at and deleting them. There is no call that changes one. Knows no database
 * and not which of them are ours.
 */
import { z } from 'zod';
import { ApiError, InvalidResponseError, isGone } from './errors.js';
import type { Send } from './http.js';
import { resourceSchema } from './schemas.js';

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

/** A webhook subscription as Calendly shows it; its signing key is never among it. */
export type Subscription = z.infer<typeof subscriptionSchema>;

/** Whose bookings a subscription tells of. */
export interface SubscriptionScope {
  scope: 'user' | 'organization';
  organization: string;
  /** The user of scope `user`. */
  user: string;
}

export interface SubscriptionsApi {
  /** Makes one. `taken`: there is one for this URL already. */
  create(
    scope: SubscriptionScope,
    wanted: { url: string; events: readonly string[]; signingKey: string },
  ): Promise<{ made: Subscription } | { taken: true }>;
  /** All of one scope, every page. */
  list(scope: SubscriptionScope): Promise<Subscription[]>;
  /** One; null when Calendly has it no more. */
  get(uri: string): Promise<Subscription | null>;
  /** Deletes one; one that is gone already is fine. */
  remove(uri: string): Promise<void>;
}

interface Transport {
  send: Send;
  at(path: string): URL;
  getPage(url: URL): Promise<{ rows: unknown[]; next: URL | null }>;
  translated<T>(work: Promise<T>): Promise<T>;
  pathOf(uri: string): string;
}

/** Binds the endpoints to a client's transport. */
export function createSubscriptionsApi(transport: Transport): SubscriptionsApi {
  const { send, at, getPage, translated, pathOf } = transport;

  const resource = (request: string) => (json: unknown) => {
    const found = subscriptionSchema.safeParse(resourceSchema.safeParse(json).data?.resource);
    if (!found.success) throw new InvalidResponseError(`${request} answered JSON of another shape.`);
    return found.data;
  };

  async function create(
    { scope, organization, user }: SubscriptionScope,
    { url, events, signingKey }: { url: string; events: readonly string[]; signingKey: string },
  ) {
    const body = { url, events, organization, scope, signing_key: signingKey };
    try {
      const request = 'POST /webhook_subscriptions';
      const made = await send(
        'POST',
        at('/webhook_subscriptions'),
        resource(request),
        scope === 'user' ? { ...body, user } : body,
      );
      return { made };
    } catch (thrown) {
      if (thrown instanceof ApiError && thrown.status === 409) return { taken: true as const };
      throw thrown;
    }
  }

  async function list({ scope, organization, user }: SubscriptionScope) {
    const found: Subscription[] = [];
    let next: URL | null = at('/webhook_subscriptions');
    next.searchParams.set('organization', organization);
    next.searchParams.set('scope', scope);
    if (scope === 'user') next.searchParams.set('user', user);
    next.searchParams.set('count', '100');
    const asked = new Set<string>();
    while (next !== null) {
      if (asked.has(next.href))
        throw new InvalidResponseError('The listing of subscriptions goes in a circle.');
      asked.add(next.href);
      const page: { rows: unknown[]; next: URL | null } = await getPage(next);
      for (const row of page.rows) {
        const read = subscriptionSchema.safeParse(row);
        if (read.success) found.push(read.data);
      }
      next = page.next;
    }
    return found;
  }

  async function get(uri: string) {
    const path = pathOf(uri);
    try {
      return await send('GET', at(path), resource(`GET ${path}`));
    } catch (thrown) {
      if (isGone(thrown)) return null;
      throw thrown;
    }
  }

  async function remove(uri: string) {
    try {
      await send('DELETE', at(pathOf(uri)), () => null);
    } catch (thrown) {
      if (!isGone(thrown)) throw thrown;
    }
  }

  return {
    create: (scope, wanted) => translated(create(scope, wanted)),
    list: (scope) => translated(list(scope)),
    get: (uri) => translated(get(uri)),
    remove: (uri) => translated(remove(uri)),
  };
}
