/** Users, the organization, memberships, event types and webhook subscriptions. */
import { ApiError } from './api-error.js';
import { type ApiRequest, create, type Endpoint, list, remove, show } from './endpoint.js';
import { uriOf } from './organization.js';
import { eventTypesQuery, membershipsQuery, subscriptionBody, subscriptionsQuery } from './parameters.js';
import type { Subscription } from './webhooks.js';

const SUBSCRIPTIONS = '/webhook_subscriptions';

export const accountEndpoints: readonly Endpoint[] = [
  show('/users/me', 'users', ({ caller }) => caller.user),
  show('/users/:id', 'users', ({ state: { organization } }, id) => {
    return found(organization.hosts.find(({ user }) => user.uri === uriOf('users', id))).user;
  }),
  show('/organizations/:id', 'organizations', ({ state: { organization } }, id) => {
    return found(organization.uri === uriOf('organizations', id) ? organization : undefined).resource;
  }),
  list('/organization_memberships', 'organizations', membershipsQuery, (request, query) => {
    requireListing(request, query);
    const { organization } = request.state;
    return organization.hosts
      .filter(({ user }) => query.user === undefined || user.uri === query.user)
      .filter(({ user }) => query.email === undefined || user.email === query.email)
      .filter(({ role }) => query.role === undefined || role === query.role)
      .map(({ membership, role, user: { current_organization: _own, ...user } }) => {
        return { ...membership, role, organization: organization.uri, user };
      });
  }),
  list('/event_types', 'event_types', eventTypesQuery, (request, query) => {
    requireListing(request, query);
    return request.state.organization.eventTypes
      .filter(({ owner, retired }) => !retired && (query.user === undefined || owner === query.user))
      .map(({ resource }) => resource)
      .filter(({ active }) => query.active === undefined || String(active) === query.active);
  }),
  show('/event_types/:id', 'event_types', ({ state: { organization } }, id) => {
    const uri = uriOf('event_types', id);
    return found(organization.eventTypes.find((type) => type.resource.uri === uri && !type.retired)).resource;
  }),
  create(SUBSCRIPTIONS, 'webhooks', subscriptionBody, (request, { url, signing_key, ...body }) => {
    const { state, caller } = request;
    const { scope, organization, events } = body;
    const user = scope === 'user' ? (body.user ?? null) : null;
    if (organization !== state.organization.uri) throw new ApiError(403);
    if (scope === 'organization' && caller.role === 'user') throw new ApiError(403);
    if (user !== null && user !== caller.user.uri) throw new ApiError(403, NOT_PERMITTED);
    const facts = { callback_url: url, events, scope, organization, user, creator: caller.user.uri };
    const subscription = state.webhooks.subscribe(facts, signing_key ?? null);
    if (!subscription) throw new ApiError(409);
    return subscription.resource;
  }),
  list(SUBSCRIPTIONS, 'webhooks', subscriptionsQuery, ({ state, caller }, query) => {
    const isMember = caller.role === 'user';
    if (query.organization !== state.organization.uri) throw new ApiError(403, NOT_PERMITTED);
    if (isMember && query.scope === 'organization') throw new ApiError(403);
    if (isMember && query.user !== caller.user.uri) throw new ApiError(403, { message: 'Unauthorized' });
    const rows = state.webhooks
      .subscriptions()
      .filter(({ scope }) => scope === query.scope)
      .filter(({ scope, user }) => scope === 'organization' || user === query.user);
    return query.sort === 'created_at:desc' ? rows.reverse() : rows;
  }),
  show(`${SUBSCRIPTIONS}/:id`, 'webhooks', (request, id) => visibleSubscription(request, id).resource),
  remove(`${SUBSCRIPTIONS}/:id`, 'webhooks', (request, id) => {
    request.state.webhooks.unsubscribe(visibleSubscription(request, id).resource.uri);
  }),
];

const NOT_PERMITTED = { message: 'You do not have permission' };

function found<Resource>(resource: Resource | undefined): Resource {
  if (resource === undefined) throw new ApiError(404);
  return resource;
}

interface Account {
  organization?: string | undefined;
  user?: string | undefined;
}

/** @throws ApiError 403 unless the organization is that of the sandbox and the user belongs to it */
export function requireMembers({ state }: ApiRequest, { organization, user }: Account): void {
  if (organization !== undefined && organization !== state.organization.uri) throw new ApiError(403);
  if (user === undefined || state.organization.hosts.some((host) => host.user.uri === user)) return;
  throw new ApiError(403, { message: 'This user is not in your organization' });
}

/** @throws ApiError 403 when the caller may not list this user, or everybody */
function requireListing(request: ApiRequest, query: Account): void {
  requireMembers(request, query);
  const { role, user } = request.caller;
  if (role === 'user' && query.user !== user.uri) throw new ApiError(403, NOT_PERMITTED);
}

/** The subscription with this id, if the caller may see it. */
function visibleSubscription({ state, caller }: ApiRequest, id: string): Subscription {
  const subscription = found(state.webhooks.find(uriOf('webhook_subscriptions', id)));
  const { user, creator } = subscription.resource;
  if (caller.role !== 'user' || user === caller.user.uri || creator === caller.user.uri) return subscription;
  throw new ApiError(403);
}
