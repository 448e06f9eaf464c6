/** `/webhook_subscriptions`: making, listing, showing and deleting subscriptions, with their rights. */
import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { invalidArgument, notFound, Problem, permissionDenied } from './api-error.js';
import { uriOf } from './identifiers.js';
import { type GateEnv, requireScope } from './middleware.js';
import { fetchFrom, pageOf } from './paging.js';
import { readParameters } from './parameters.js';
import type { World } from './state.js';
import { type Subscription, type SubscriptionDraft, WEBHOOK_EVENTS } from './subscriptions.js';

/** The endpoints of webhook subscriptions. */
export function subscriptionRoutes(world: World): Hono<GateEnv> {
  const routes = new Hono<GateEnv>();
  const read = requireScope('webhooks:read');
  const write = requireScope('webhooks:write');
  routes.post('/webhook_subscriptions', write, async (c) => {
    const draft = await readDraft(world, c);
    const made = world.subscriptions.create(draft);
    if (!made) throw new Problem(409, 'Already Exists', 'Hook with this url already exists');
    return c.json({ resource: made.resource }, 201);
  });
  routes.get('/webhook_subscriptions', read, (c) => c.json(list(world, c)));
  routes.get('/webhook_subscriptions/:id', read, (c) => c.json({ resource: viewable(world, c).resource }));
  routes.delete('/webhook_subscriptions/:id', write, (c) => {
    world.subscriptions.remove(viewable(world, c).resource.uri);
    return c.body(null, 204);
  });
  return routes;
}

const uri = (kind: string) =>
  z.string().regex(new RegExp(`^${uriOf(kind)}/[A-Za-z0-9-]+$`), 'is not a valid URI');

const draftSchema = z
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

async function readDraft(world: World, c: Context<GateEnv>): Promise<SubscriptionDraft> {
  const given: unknown = await c.req.json().catch(() => {
    throw invalidArgument({ message: 'The body is no JSON.' });
  });
  const result = draftSchema.safeParse(given);
  if (!result.success) {
    const details = result.error.issues.map(({ path, message }) => ({
      parameter: String(path[0] ?? ''),
      message,
    }));
    throw invalidArgument(...details);
  }
  const { url, events, organization, scope, signing_key } = result.data;
  const caller = c.get('caller');
  const user = scope === 'user' ? (result.data.user ?? null) : null;
  if (organization !== world.organization.uri) throw permissionDenied();
  if (scope === 'organization' && caller.role === 'user') throw permissionDenied();
  if (user !== null && user !== caller.user.uri) throw permissionDenied('You do not have permission');
  const signingKey = signing_key ?? null;
  return { url, events, scope, organization, user, creator: caller.user.uri, signingKey };
}

function list(world: World, c: Context<GateEnv>) {
  const url = new URL(c.req.url);
  const parameters = readParameters(url.searchParams);
  const organization = parameters.uri('organization', 'organizations');
  const user = parameters.uri('user', 'users');
  const scope = parameters.oneOf('scope', ['organization', 'user']);
  const descending = parameters.oneOf('sort', ['created_at:asc', 'created_at:desc']) === 'created_at:desc';
  const count = parameters.count();
  const needed = ['organization', 'scope', ...(scope === 'user' ? ['user'] : [])];
  for (const parameter of needed) {
    if (parameters.text(parameter) === null) parameters.complain({ parameter, message: 'is missing' });
  }
  parameters.check();
  const caller = c.get('caller');
  if (organization !== world.organization.uri) throw permissionDenied('You do not have permission');
  if (scope === 'organization' && caller.role === 'user') throw permissionDenied();
  if (scope === 'user' && user !== caller.user.uri && caller.role === 'user')
    throw permissionDenied('Unauthorized');
  const rows = world.subscriptions
    .all()
    .map(({ resource }) => resource)
    .filter((resource) => resource.scope === scope && (scope === 'organization' || resource.user === user));
  if (descending) rows.reverse();
  return pageOf({ url, caller: caller.user.uri, count, tokens: world.pages, fetch: fetchFrom(rows) });
}

/** The subscription of the path, if it is the caller's to see. */
function viewable(world: World, c: Context<GateEnv>): Subscription {
  const found = world.subscriptions.find(uriOf('webhook_subscriptions', c.req.param('id') ?? ''));
  if (!found) throw notFound();
  const caller = c.get('caller');
  const own = found.resource.user === caller.user.uri || found.resource.creator === caller.user.uri;
  if (!own && caller.role === 'user') throw permissionDenied();
  return found;
}
