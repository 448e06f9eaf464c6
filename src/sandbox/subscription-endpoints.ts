/** `/webhook_subscriptions`: creates, lists, shows and deletes subscriptions, each with its permissions. */
import { z } from 'zod';
import { ApiError, notFound, permissionDenied } from './api-error.js';
import { type ApiRequest, type Endpoint, get, pageRequest, readBody, write } from './endpoint.js';
import { uriOf } from './ids.js';
import { listingOf, pageOf } from './paging.js';
import { count, order, readQuery, uri } from './query.js';
import { type Subscription, WEBHOOK_EVENTS } from './subscriptions.js';

const PATH = '/webhook_subscriptions';

export const subscriptionEndpoints: readonly Endpoint[] = [
  write('POST', PATH, 'webhooks', createSubscription),
  get(PATH, 'webhooks', listSubscriptions),
  get(`${PATH}/:id`, 'webhooks', (request, id) => ({ resource: visibleSubscription(request, id).resource })),
  write('DELETE', `${PATH}/:id`, 'webhooks', (request, id) => {
    request.state.subscriptions.remove(visibleSubscription(request, id).resource.uri);
    return null;
  }),
];

const subscriptionBody = z
  .object({
    url: z.url({ protocol: /^https?$/, message: 'is not a valid URL' }),
    events: z.array(z.enum(WEBHOOK_EVENTS)).min(1, 'is missing'),
    organization: uri('organizations'),
    scope: z.enum(['organization', 'user']),
    user: uri('users').nullish(),
    signing_key: z.string().min(1).nullish(),
  })
  .refine(({ scope, user }) => scope !== 'user' || user, { path: ['user'], message: 'is missing' })
  .refine(({ events }) => new Set(events).size === events.length, {
    path: ['events'],
    message: 'must be unique',
  })
  .refine(({ scope, events }) => scope !== 'user' || !events.includes('routing_form_submission.created'), {
    path: ['events'],
    message: 'routing_form_submission.created needs scope organization',
  });

async function createSubscription(request: ApiRequest) {
  const { state, caller } = request;
  const { url: callback_url, signing_key, ...asked } = await readBody(request, subscriptionBody);
  const { scope, organization } = asked;
  const user = scope === 'user' ? (asked.user ?? null) : null;
  if (organization !== state.organization.uri) throw permissionDenied();
  if (scope === 'organization' && caller.role === 'user') throw permissionDenied();
  if (user !== null && user !== caller.user.uri) throw permissionDenied('You do not have permission');
  const created = state.subscriptions.create(
    { callback_url, events: asked.events, scope, organization, user, creator: caller.user.uri },
    signing_key ?? null,
  );
  if (!created) throw new ApiError(409, 'Already Exists', 'Hook with this url already exists');
  return { resource: created.resource };
}

const subscriptionsQuery = z
  .object({
    organization: uri('organizations'),
    user: uri('users').optional(),
    scope: z.enum(['organization', 'user'], 'is missing'),
    sort: order('created_at').optional(),
    count,
  })
  .refine(({ scope, user }) => scope !== 'user' || user, { path: ['user'], message: 'is missing' });

function listSubscriptions(request: ApiRequest) {
  const { state, caller, url } = request;
  const query = readQuery(url, subscriptionsQuery);
  const isMember = caller.role === 'user';
  if (query.organization !== state.organization.uri) throw permissionDenied('You do not have permission');
  if (isMember && query.scope === 'organization') throw permissionDenied();
  if (isMember && query.user !== caller.user.uri) throw permissionDenied('Unauthorized');
  const rows = state.subscriptions
    .all()
    .map(({ resource }) => resource)
    .filter(({ scope, user }) => scope === query.scope && (scope === 'organization' || user === query.user));
  if (query.sort === 'created_at:desc') rows.reverse();
  return pageOf(pageRequest(request, query.count), listingOf(rows));
}

/** The subscription with this id, if the caller may see it. */
function visibleSubscription({ state, caller }: ApiRequest, id: string): Subscription {
  const subscription = state.subscriptions.find(uriOf('webhook_subscriptions', id));
  if (!subscription) throw notFound();
  const { user, creator } = subscription.resource;
  if (caller.role === 'user' && user !== caller.user.uri && creator !== caller.user.uri)
    throw permissionDenied();
  return subscription;
}
