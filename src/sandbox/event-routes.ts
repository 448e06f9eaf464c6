/** `/scheduled_events` and what is below it. */
import { type Context, Hono } from 'hono';
import { notFound, permissionDenied } from './api-error.js';
import { inviteeUri } from './invitee.js';
import { type EventFilter, fetchEvents } from './listing.js';
import { isHostedBy, type Meeting } from './meeting.js';
import { type GateEnv, requireScope } from './middleware.js';
import { fetchFrom, pageOf } from './paging.js';
import { type Parameters, readParameters } from './parameters.js';
import type { Host } from './people.js';
import { hostByUri, type World } from './state.js';

/** The endpoints of meetings. */
export function eventRoutes(world: World): Hono<GateEnv> {
  const routes = new Hono<GateEnv>();
  routes.use('/scheduled_events/*', requireScope('scheduled_events:read'));
  routes.get('/scheduled_events', (c) => c.json(listEvents(world, c)));
  routes.get('/scheduled_events/:id', (c) => c.json({ resource: viewable(world, c).event }));
  routes.get('/scheduled_events/:id/invitees', (c) => c.json(listInvitees(world, c)));
  routes.get('/scheduled_events/:id/invitees/:invitee', (c) => {
    const { event, invitees } = viewable(world, c);
    const invitee = invitees.find(({ uri }) => uri === inviteeUri(event.uri, c.req.param('invitee')));
    if (!invitee) throw notFound();
    return c.json({ resource: invitee });
  });
  return routes;
}

function listEvents(world: World, c: Context<GateEnv>) {
  const url = new URL(c.req.url);
  const parameters = readParameters(url.searchParams);
  const filter = readFilter(world, parameters);
  const count = parameters.count();
  parameters.check();
  const fetch = fetchEvents(world.store, { ...filter, hosts: scopeOf(world, parameters, c.get('caller')) });
  return pageOf({ url, caller: c.get('caller').user.uri, count, tokens: world.pages, fetch });
}

function readFilter({ exclusiveBounds }: World, parameters: Parameters): Omit<EventFilter, 'hosts'> {
  const scopes = ['user', 'organization', 'group'] as const;
  for (const name of scopes) parameters.uri(name, `${name}s`);
  if (scopes.every((name) => parameters.text(name) === null)) {
    parameters.complain({ message: 'One of user, organization and group is required.' });
  }
  return {
    status: parameters.oneOf('status', ['active', 'canceled']),
    inviteeEmail: parameters.email('invitee_email'),
    min: parameters.instant('min_start_time'),
    max: parameters.instant('max_start_time'),
    inclusive: !exclusiveBounds,
    descending: parameters.oneOf('sort', ['start_time:asc', 'start_time:desc']) === 'start_time:desc',
  };
}

/** Whose meetings the caller asks for, if the caller may; null for everybody's. */
function scopeOf(world: World, parameters: Parameters, caller: Host): ReadonlySet<string> | null {
  const user = parameters.text('user');
  const organization = parameters.text('organization');
  const group = parameters.text('group');
  if (organization !== null || group !== null) {
    if (organization !== null && organization !== world.organization.uri) throw permissionDenied();
    if (group !== null && group !== world.organization.group.uri) throw permissionDenied();
    if (caller.role === 'user') throw permissionDenied();
    if (user !== null && !hostByUri(world, user))
      throw permissionDenied('This user is not in your organization');
  } else if (user !== caller.user.uri) {
    throw user !== null && hostByUri(world, user)
      ? permissionDenied(
          'Please also specify organization when requesting events for a user within your organization.',
        )
      : permissionDenied('This user is not in your organization');
  }
  const users = user === null ? null : new Set([user]);
  if (group === null) return users;
  return new Set(world.organization.group.members.filter((member) => users?.has(member) ?? true));
}

/** The meeting of the path, if the caller may see it. */
function viewable(world: World, c: Context<GateEnv>): Meeting {
  const meeting = world.store.find(c.req.param('id') ?? '');
  if (!meeting || meeting.visibility === 'deleted') throw notFound();
  const caller = c.get('caller');
  const may = caller.role !== 'user' || isHostedBy(meeting, caller.user.uri);
  if (!may || meeting.visibility === 'access_lost') {
    throw permissionDenied('You are not allowed to view this event');
  }
  return meeting;
}

function listInvitees(world: World, c: Context<GateEnv>) {
  const url = new URL(c.req.url);
  const parameters = readParameters(url.searchParams);
  const status = parameters.oneOf('status', ['active', 'canceled']);
  const email = parameters.email('email');
  const descending = parameters.oneOf('sort', ['created_at:asc', 'created_at:desc']) === 'created_at:desc';
  const count = parameters.count();
  parameters.check();
  const rows = viewable(world, c)
    .invitees.filter((invitee) => status === null || invitee.status === status)
    .filter((invitee) => email === null || invitee.email.toLowerCase() === email.toLowerCase())
    .sort((a, b) => (a.created_at < b.created_at ? -1 : a.created_at > b.created_at ? 1 : 0));
  if (descending) rows.reverse();
  return pageOf({
    url,
    caller: c.get('caller').user.uri,
    count,
    tokens: world.pages,
    fetch: fetchFrom(rows),
  });
}
