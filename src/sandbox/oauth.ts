/** The browser's part of OAuth, and revocation: access is allowed without a page that asks. PKCE is checked. */
import { createHash } from 'node:crypto';
import { Hono } from 'hono';
import type { SandboxState } from './state.js';
import { OAUTH_CLIENT, readTokenRequest } from './tokens.js';

/** Routes of `/oauth`; those for `/oauth/token` only check the code verifier. `login_hint` is a host's number. */
export function oauthRoutes(state: SandboxState): Hono {
  const routes = new Hono();
  const challenges = new Map<string, string>();
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
  routes.post('/token', async ({ req, json }, next) => {
    const form = new URLSearchParams(await req.raw.clone().text());
    const challenge = challenges.get(form.get('code') ?? '');
    const verifier = form.get('code_verifier') ?? '';
    if (challenge === undefined || createHash('sha256').update(verifier).digest('base64url') === challenge)
      return next();
    return json({ error: 'invalid_grant', error_description: 'The code verifier is wrong.' }, 400);
  });
  routes.post('/revoke', async ({ req, json, body }) => {
    const token = new URLSearchParams(await req.raw.clone().text()).get('token') ?? '';
    const { isClient } = await readTokenRequest(req.raw, state.tokens);
    if (!isClient) return json({ error: 'invalid_client' }, 401);
    state.tokens.end(token, 'revoked');
    return body(null, 200);
  });
  return routes;
}
