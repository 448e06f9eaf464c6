/** Users, memberships and event types. */
import { type Context, Hono } from 'hono';
import { notFound, permissionDenied } from './api-error.js';
import { uriOf } from './identifiers.js';
import { type GateEnv, requireScope } from './middleware.js';
import { fetchFrom, pageOf } from './paging.js';
import { readParameters } from './parameters.js';
import type { Host } from './people.js';
import { hostByUri, type World } from './state.js';

/** The endpoints of people and of what they offer. */
export function organizationRoutes(world: World): Hono<GateEnv> {
  const routes = new Hono<GateEnv>();
  routes.get('/users/me', requireScope('users:read'), (c) => c.json({ resource: c.get('caller').user }));
  routes.get('/users/:id', requireScope('users:read'), (c) => {
    const host = hostByUri(world, uriOf('users', c.req.param('id')));
    if (!host) throw notFound();
    return c.json({ resource: host.user });
  });
  routes.get('/organization_memberships', requireScope('organizations:read'), (c) =>
    c.json(memberships(world, c)),
  );
  routes.get('/event_types', requireScope('event_types:read'), (c) => c.json(eventTypes(world, c)));
  routes.get('/event_types/:id', requireScope('event_types:read'), (c) => {
    const uri = uriOf('event_types', c.req.param('id'));
    const entry = [...world.catalog.values()].flat().find(({ resource }) => resource.uri === uri);
    if (!entry || entry.retired) throw notFound();
    return c.json({ resource: entry.resource });
  });
  return routes;
}

function memberships(world: World, c: Context<GateEnv>) {
  const url = new URL(c.req.url);
  const parameters = readParameters(url.searchParams);
  const organization = parameters.uri('organization', 'organizations');
  const user = parameters.uri('user', 'users');
  const email = parameters.email('email');
  const role = parameters.oneOf('role', ['owner', 'admin', 'user']);
  const count = parameters.count();
  if (!parameters.text('organization') && !parameters.text('user')) {
    parameters.complain({ message: 'One of organization and user is required.' });
  }
  parameters.check();
  const caller = c.get('caller');
  if (organization !== null && organization !== world.organization.uri) throw permissionDenied();
  if (caller.role === 'user' && user !== caller.user.uri)
    throw permissionDenied('You do not have permission');
  if (user !== null && !hostByUri(world, user))
    throw permissionDenied('This user is not in your organization');
  const rows = world.organization.hosts
    .filter((host) => user === null || host.user.uri === user)
    .filter((host) => email === null || host.user.email === email.toLowerCase())
    .filter((host) => role === null || host.role === role)
    .map((host) => membershipOf(world, host));
  return pageOf({ url, caller: caller.user.uri, count, tokens: world.pages, fetch: fetchFrom(rows) });
}

function membershipOf({ organization }: World, { membership, role, user }: Host) {
  const { current_organization: _own, ...embedded } = user;
  return { ...membership, role, organization: organization.uri, user: embedded };
}

function eventTypes(world: World, c: Context<GateEnv>) {
  const url = new URL(c.req.url);
  const parameters = readParameters(url.searchParams);
  const organization = parameters.uri('organization', 'organizations');
  const user = parameters.uri('user', 'users');
  const active = parameters.oneOf('active', ['true', 'false']);
  const count = parameters.count();
  if (!parameters.text('organization') && !parameters.text('user')) {
    parameters.complain({ message: 'One of organization and user is required.' });
  }
  parameters.check();
  const caller = c.get('caller');
  if (organization !== null && organization !== world.organization.uri) throw permissionDenied();
  if (user !== null && !hostByUri(world, user))
    throw permissionDenied('This user is not in your organization');
  if (caller.role === 'user' && user !== caller.user.uri)
    throw permissionDenied('You do not have permission');
  const rows = [...world.catalog]
    .filter(([owner]) => user === null || owner === user)
    .flatMap(([, entries]) => entries)
    .filter(({ retired, resource }) => !retired && (active === null || String(resource.active) === active))
    .map(({ resource }) => resource);
  return pageOf({ url, caller: caller.user.uri, count, tokens: world.pages, fetch: fetchFrom(rows) });
}
