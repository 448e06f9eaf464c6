/** Users, the organization, memberships and event types. */
import { z } from 'zod';
import { ApiError } from './api-error.js';
import { type ApiRequest, account, type Endpoint, email, endpoint, nothing, order } from './endpoint.js';
import { uriOf } from './organization.js';
import { sorted } from './paging.js';

/** For every listing. */
export const namesAccount = ({ organization, user }: Account) => (organization ?? user) !== undefined;
export const ACCOUNT_MISSING = 'One of organization and user is required.';
const membershipsQuery = z
  .object({ ...account, email: email.optional(), role: z.enum(['owner', 'admin', 'user']).optional() })
  .refine(namesAccount, ACCOUNT_MISSING);
const typeOrder = z.union([order('name'), order('position'), order('created_at'), order('updated_at')]);
const eventTypesQuery = z
  .object({ ...account, active: z.enum(['true', 'false']).optional(), sort: typeOrder })
  .refine(namesAccount, ACCOUNT_MISSING);

export const accountEndpoints: readonly Endpoint[] = [
  endpoint('GET /users/me', 'users', nothing, ({ caller }) => caller.user),
  endpoint('GET /users/:id', 'users', nothing, ({ state, id }) => {
    return found(state.organization.hosts.find(({ user }) => user.uri === uriOf('users', id))).user;
  }),
  endpoint('GET /organizations/:id', 'organizations', nothing, ({ state: { organization }, id }) => {
    return found(organization.uri === uriOf('organizations', id) ? organization : undefined).resource;
  }),
  endpoint('GET /organization_memberships', 'organizations', membershipsQuery, (request, query) => {
    requireListing(request, query);
    return request.state.organization.hosts
      .filter(({ user }) => !request.state.directory.former.has(user.uri))
      .map(({ membership }) => membership)
      .filter(({ user }) => query.user === undefined || user.uri === query.user)
      .filter(({ user }) => query.email === undefined || user.email === query.email)
      .filter(({ role }) => query.role === undefined || role === query.role);
  }),
  endpoint('GET /event_types', 'event_types', eventTypesQuery, (request, query) => {
    requireListing(request, query);
    const types = request.state.organization.eventTypes
      .filter(({ owner, retired }) => !retired && (query.user === undefined || owner === query.user))
      .map(({ resource }) => resource)
      .filter(({ active }) => query.active === undefined || String(active) === query.active);
    return query.sort ? sorted(types, query.sort) : types;
  }),
  endpoint('GET /event_types/:id', 'event_types', nothing, ({ state: { organization }, id }) => {
    return found(organization.eventTypes.find(({ resource: { uri } }) => uri === uriOf('event_types', id)))
      .resource;
  }),
];

/** @throws ApiError 404 */
export function found<Resource>(resource: Resource | undefined): Resource {
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
export function requireListing(request: ApiRequest, query: Account): void {
  requireMembers(request, query);
  const { role, user } = request.caller;
  if (role === 'user' && query.user !== user.uri)
    throw new ApiError(403, { message: 'You do not have permission' });
}
