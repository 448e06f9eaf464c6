/** OAuth: the browser's part without a page that asks, token pairs and revocation. PKCE is checked. */
import { createHash } from 'node:crypto';
import { type Context, Hono } from 'hono';
import { createRateLimit } from './requests.js';
import { type Env, respond } from './respond.js';
import type { State } from './state.js';

/** The only OAuth client of the sandbox. */
export const OAUTH_CLIENT = { client_id: 'sandbox-client', client_secret: 'sandbox-client-secret' };

const REQUESTS_PER_MINUTE = 8;

/** Routes of `/oauth`. Errors have the codes of OAuth. `login_hint` is a host's number. */
export function oauthRoutes(state: State): Hono<Env> {
  const routes = new Hono<Env>();
  const challenges = new Map<string, string>();
  const rateLimit = createRateLimit(() => REQUESTS_PER_MINUTE, state.clock.now);
  routes.get('/authorize', ({ req, json, redirect }) => {
    const query = req.query();
    const host = state.organization.hosts[Number(query.login_hint ?? 0)];
    if (query.client_id !== OAUTH_CLIENT.client_id || query.response_type !== 'code' || !query.redirect_uri)
      return json({ error: 'invalid_request' }, 400);
    const back = new URL(query.redirect_uri);
    if (query.state) back.searchParams.set('state', query.state);
    if (!host) back.searchParams.set('error', 'access_denied');
    else {
      const { code } = state.tokens.grant(host, query.scope?.split(' ') ?? null);
      if (query.code_challenge) challenges.set(code, query.code_challenge);
      back.searchParams.set('code', code);
    }
    return redirect(back.href);
  });
  routes.post('/token', async (c) => {
    const form = await readForm(c);
    const code = form.get('code') ?? '';
    const type = form.get('grant_type');
    const grant = state.tokens.findGrant(type === 'refresh_token' ? (form.get('refresh_token') ?? '') : code);
    const owner = grant?.host.user.uri ?? null;
    c.get('entry').user = owner;
    // A grant that is unknown belongs to nobody: such requests share one rate limit.
    return respond(state, rateLimit, owner ?? '', c, async () => {
      if (!type) return refuse('invalid_request', 'grant_type is missing; send the form url-encoded.');
      if (!isClient(c, form))
        return refuse('invalid_client', 'The client is unknown or its secret is wrong.', 401);
      if (type !== 'refresh_token' && type !== 'authorization_code') {
        return refuse('unsupported_grant_type', 'The grant type is not supported.');
      }
      if (!grant) return refuse('invalid_grant', 'The grant is unknown, used or revoked.');
      const verified = createHash('sha256')
        .update(form.get('code_verifier') ?? '')
        .digest('base64url');
      const isVerified = verified === (challenges.get(code) ?? verified);
      return isVerified
        ? Response.json(grant.redeem())
        : refuse('invalid_grant', 'The code verifier is wrong.');
    });
  });
  routes.post('/revoke', async (c) => {
    const form = await readForm(c);
    if (!isClient(c, form))
      return refuse('invalid_client', 'The client is unknown or its secret is wrong.', 401);
    state.tokens.end(form.get('token') ?? '', 'revoked');
    return c.body(null, 200);
  });
  return routes;
}

/** The form of a request; an empty one when it is not form-encoded. */
async function readForm({ req }: Context<Env>): Promise<URLSearchParams> {
  const isForm = req.header('content-type')?.startsWith('application/x-www-form-urlencoded');
  return new URLSearchParams(isForm ? await req.text() : '');
}

/** Whether the client identifies itself, in a Basic header or in the form. */
function isClient({ req }: Context<Env>, form: URLSearchParams): boolean {
  const basic = /^Basic +(\S+)$/i.exec(req.header('authorization') ?? '')?.[1];
  const given = `${form.get('client_id') ?? ''}:${form.get('client_secret') ?? ''}`;
  const client = basic ? Buffer.from(basic, 'base64').toString() : given;
  return client === `${OAUTH_CLIENT.client_id}:${OAUTH_CLIENT.client_secret}`;
}

function refuse(error: string, error_description: string, status = 400): Response {
  return Response.json({ error, error_description }, { status });
}
