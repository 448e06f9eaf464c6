/** All routes of the sandbox as one fetch-style application: the API as Calendly has it, and the control beside it. */
import { Hono } from 'hono';
import { answerProblem, notFound } from './api-error.js';
import { eventRoutes } from './event-routes.js';
import { entrance, type GateEnv, guarded, type Manners } from './middleware.js';
import { oauthRoutes } from './oauth-routes.js';
import { organizationRoutes } from './organization-routes.js';
import type { World } from './state.js';
import { subscriptionRoutes } from './subscription-routes.js';

/** Paths of the API, with the methods that each takes. */
const ENDPOINTS: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^\/oauth\/token$/, ['POST']],
  [/^\/users\/[^/]+$/, ['GET']],
  [/^\/organization_memberships$/, ['GET']],
  [/^\/webhook_subscriptions$/, ['GET', 'POST']],
  [/^\/webhook_subscriptions\/[^/]+$/, ['GET', 'DELETE']],
  [/^\/event_types(\/[^/]+)?$/, ['GET']],
  [/^\/scheduled_events(\/[^/]+(\/invitees(\/[^/]+)?)?)?$/, ['GET']],
];

/** The API of a world. */
export function createApi(world: World, manners: Manners): Hono<GateEnv> {
  const api = new Hono<GateEnv>();
  api.onError(answerProblem);
  api.notFound(() => answerProblem(notFound()));
  api.use(entrance(world, manners));
  api.use(async (c, next) => {
    const methods = ENDPOINTS.find(([path]) => path.test(c.req.path))?.[1];
    if (!methods) throw notFound();
    const answers = methods.includes(c.req.method) || (c.req.method === 'HEAD' && methods.includes('GET'));
    if (!answers) {
      const body = { title: 'Method Not Allowed', message: `${c.req.method} is not possible here.` };
      return Response.json(body, { status: 405, headers: { allow: methods.join(', ') } });
    }
    return next();
  });
  api.route('/', oauthRoutes(world));
  api.use(guarded(world));
  api.route('/', organizationRoutes(world));
  api.route('/', eventRoutes(world));
  api.route('/', subscriptionRoutes(world));
  return api;
}
