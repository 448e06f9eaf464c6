/** Webhook subscriptions. */
import { z } from 'zod';
import { found } from './account-endpoints.js';
import { ApiError } from './api-error.js';
import { type ApiRequest, count, type Endpoint, endpoint, nothing, uri } from './endpoint.js';
import { uriOf } from './organization.js';
import { type Subscription, WEBHOOK_EVENTS } from './webhooks.js';

const owner = { organization: uri('organizations'), scope: z.enum(['organization', 'user'], 'is missing') };
const hasUser = (value: { scope: string; user?: string | null | undefined }) =>
  value.scope !== 'user' || Boolean(value.user);
const USER_MISSING = { path: ['user'], message: 'is missing' };
const query = z.object({ ...owner, user: uri('users').optional(), count }).refine(hasUser, USER_MISSING);
const body = z
  .object({
    ...owner,
    url: z.url({ protocol: /^https?$/, message: 'is not a valid URL' }),
    events: z.array(z.enum(WEBHOOK_EVENTS)).min(1, 'is missing'),
    user: uri('users').nullish(),
    signing_key: z.string().min(1).nullish(),
  })
  .refine(hasUser, USER_MISSING);

const PATH = '/webhook_subscriptions';
const NOT_PERMITTED = { message: 'You do not have permission' };

export const subscriptionEndpoints: readonly Endpoint[] = [
  endpoint(`POST ${PATH}`, 'webhooks', body, ({ state, caller }, { url, signing_key = null, ...asked }) => {
    const user = asked.scope === 'user' ? (asked.user ?? null) : null;
    if (asked.organization !== state.organization.uri) throw new ApiError(403);
    if (asked.scope === 'organization' && caller.role === 'user') throw new ApiError(403);
    if (user !== null && user !== caller.user.uri) throw new ApiError(403, NOT_PERMITTED);
    const facts = { ...asked, callback_url: url, user, creator: caller.user.uri };
    const subscription = state.webhooks.subscribe(facts, signing_key);
    if (!subscription) throw new ApiError(409);
    return subscription.resource;
  }),
  endpoint(`GET ${PATH}`, 'webhooks', query, ({ state, caller }, { organization, scope, user }) => {
    const isMember = caller.role === 'user';
    if (organization !== state.organization.uri) throw new ApiError(403, NOT_PERMITTED);
    if (isMember && scope === 'organization') throw new ApiError(403);
    if (isMember && user !== caller.user.uri) throw new ApiError(403, { message: 'Unauthorized' });
    return state.webhooks
      .subscriptions()
      .filter((one) => one.scope === scope && (scope === 'organization' || one.user === user));
  }),
  endpoint(`GET ${PATH}/:id`, 'webhooks', nothing, (request) => visibleSubscription(request).resource),
  endpoint(`DELETE ${PATH}/:id`, 'webhooks', nothing, (request) => {
    request.state.webhooks.unsubscribe(visibleSubscription(request).resource.uri);
  }),
];

/** The subscription that a request names, if the caller may see it. */
function visibleSubscription({ state, caller, id }: ApiRequest): Subscription {
  const subscription = found(state.webhooks.find(uriOf('webhook_subscriptions', id)));
  const { user, creator } = subscription.resource;
  if (caller.role !== 'user' || [user, creator].includes(caller.user.uri)) return subscription;
  throw new ApiError(403);
}
