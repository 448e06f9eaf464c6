/** `POST /oauth/token`: form-encoded in, a pair out, and each refresh token works once. */
import { type Context, Hono } from 'hono';
import { type GateEnv, metered } from './middleware.js';
import type { World } from './state.js';

/** The one OAuth client that the sandbox knows. */
export const OAUTH_CLIENT = {
  client_id: 'sandbox-client',
  client_secret: 'sandbox-client-secret',
} as const;

export function oauthRoutes(world: World): Hono<GateEnv> {
  const routes = new Hono<GateEnv>();
  routes.post('/oauth/token', async (c) => {
    const form = await readForm(c);
    // Whose allowance it is can only be said of a grant that is known; others share the client's.
    const owner = world.tokens.ownerOf(grantOf(form));
    c.get('entry').user = owner?.user.uri ?? null;
    await metered(world, world.oauthAllowance, owner?.user.uri ?? 'client', c, async () => {
      c.res = exchange(world, c, form);
    });
    return c.res;
  });
  return routes;
}

async function readForm(c: Context<GateEnv>): Promise<URLSearchParams> {
  const type = c.req.header('content-type') ?? '';
  return new URLSearchParams(type.startsWith('application/x-www-form-urlencoded') ? await c.req.text() : '');
}

function grantOf(form: URLSearchParams): string {
  return form.get(form.get('grant_type') === 'refresh_token' ? 'refresh_token' : 'code') ?? '';
}

function exchange({ tokens }: World, c: Context<GateEnv>, form: URLSearchParams): Response {
  const grantType = form.get('grant_type');
  if (!grantType)
    return failure(400, 'invalid_request', 'grant_type is missing; send the parameters form-encoded.');
  if (!isClient(c, form))
    return failure(401, 'invalid_client', 'The client is unknown or its secret is wrong.');
  if (grantType !== 'refresh_token' && grantType !== 'authorization_code') {
    return failure(400, 'unsupported_grant_type', 'The grant type is not supported.');
  }
  const pair = tokens.redeem(grantOf(form));
  if (!pair)
    return failure(400, 'invalid_grant', 'The grant is not valid: unknown, used before, expired or revoked.');
  return Response.json(pair);
}

function failure(status: number, error: string, description: string): Response {
  return Response.json({ error, error_description: description }, { status });
}

/** The client may say who it is in a Basic header or in the form. */
function isClient(c: Context<GateEnv>, form: URLSearchParams): boolean {
  const basic = /^Basic +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
  const given = basic
    ? Buffer.from(basic, 'base64').toString()
    : `${form.get('client_id') ?? ''}:${form.get('client_secret') ?? ''}`;
  return given === `${OAUTH_CLIENT.client_id}:${OAUTH_CLIENT.client_secret}`;
}
