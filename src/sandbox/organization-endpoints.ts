/** Users, the organization, memberships and event types. */
import { z } from 'zod';
import { notFound, permissionDenied } from './api-error.js';
import { type ApiRequest, type Endpoint, get, pageRequest, requireMembers } from './endpoint.js';
import { uriOf } from './ids.js';
import { listingOf, pageOf } from './paging.js';
import { count, email, readQuery, uri } from './query.js';
import { hostByUri } from './state.js';

export const organizationEndpoints: readonly Endpoint[] = [
  get('/users/me', 'users', ({ caller }) => ({ resource: caller.user })),
  get('/users/:id', 'users', ({ state }, id) => {
    return { resource: found(hostByUri(state, uriOf('users', id))).user };
  }),
  get('/organizations/:id', 'organizations', ({ state: { organization } }, id) => {
    if (organization.uri !== uriOf('organizations', id)) throw notFound();
    return { resource: organization.resource };
  }),
  get('/organization_memberships', 'organizations', listMemberships),
  get('/event_types', 'event_types', listEventTypes),
  get('/event_types/:id', 'event_types', ({ state }, id) => {
    const type = state.eventTypes.find(({ resource }) => resource.uri === uriOf('event_types', id));
    return { resource: found(type?.retired ? undefined : type).resource };
  }),
];

function found<Resource>(resource: Resource | undefined): Resource {
  if (resource === undefined) throw notFound();
  return resource;
}

interface Scope {
  organization?: string | undefined;
  user?: string | undefined;
}

const scope = { organization: uri('organizations').optional(), user: uri('users').optional(), count };
const isScoped = ({ organization, user }: Scope) => organization !== undefined || user !== undefined;
const UNSCOPED = { message: 'One of organization and user is required.' };

/** @throws ApiError 403 when the caller may not list this user, or everybody */
function requireListing(request: ApiRequest, query: Scope) {
  requireMembers(request, query);
  const { role, user } = request.caller;
  if (role === 'user' && query.user !== user.uri) throw permissionDenied('You do not have permission');
}

const membershipsQuery = z
  .object({ ...scope, email: email.optional(), role: z.enum(['owner', 'admin', 'user']).optional() })
  .refine(isScoped, UNSCOPED);

function listMemberships(request: ApiRequest) {
  const query = readQuery(request.url, membershipsQuery);
  requireListing(request, query);
  const { organization } = request.state;
  const rows = organization.hosts
    .filter(({ user }) => query.user === undefined || user.uri === query.user)
    .filter(({ user }) => query.email === undefined || user.email === query.email)
    .filter(({ role }) => query.role === undefined || role === query.role)
    .map(({ membership, role, user: { current_organization: _own, ...user } }) => {
      return { ...membership, role, organization: organization.uri, user };
    });
  return pageOf(pageRequest(request, query.count), listingOf(rows));
}

const eventTypesQuery = z
  .object({ ...scope, active: z.enum(['true', 'false']).optional() })
  .refine(isScoped, UNSCOPED);

function listEventTypes(request: ApiRequest) {
  const query = readQuery(request.url, eventTypesQuery);
  requireListing(request, query);
  const rows = request.state.eventTypes
    .filter(({ owner, retired }) => !retired && (query.user === undefined || owner === query.user))
    .map(({ resource }) => resource)
    .filter(({ active }) => query.active === undefined || String(active) === query.active);
  return pageOf(pageRequest(request, query.count), listingOf(rows));
}
