/** A local Calendly on its own port. Tests and the demo call `startSandbox`; people run the `sandbox` command. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer, type HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { createApi, type RequestListener, type ServerBehavior } from './api.js';
import { controlRoutes, createControl } from './control.js';
import { type AccountOptions, generateAccount } from './generate.js';
import { OAUTH_CLIENT } from './oauth.js';

export interface SandboxOptions extends AccountOptions, ServerBehavior {
  /** 0, the default, takes a free one. */
  port?: number;
  /** Address to listen on; 127.0.0.1 by default. */
  host?: string;
}

export type Sandbox = Awaited<ReturnType<typeof startSandbox>>;

/** Starts a local Calendly. @throws what `listen` throws, for example EADDRINUSE */
export async function startSandbox(options: SandboxOptions = {}) {
  const state = generateAccount(options);
  const listeners = new Set<RequestListener>();
  const api = createApi(state, listeners, options);
  const app = new Hono<{ Bindings: HttpBindings }>();
  app.route('/_control', controlRoutes(state));
  app.all('*', (c) => api.fetch(c.req.raw, c.env));
  const { url, close } = await listen(app, options.host ?? '127.0.0.1', options.port ?? 0);
  const { organization, log, webhooks } = state;
  return {
    /** Base of the API and of OAuth, without a trailing slash. */
    url,
    controlUrl: `${url}/_control`,
    /** Host 0 is the organization's owner, 1 a plain member, 2 an admin, all others plain members. */
    hosts: organization.hosts.map(({ token, role, user: { uri, email, name } }) => {
      return { token, uri, email, name, role };
    }),
    /** URI of the organization. */
    organization: organization.uri,
    /** The OAuth client that `/oauth/token` knows. */
    client: OAUTH_CLIENT,
    control: createControl(state),
    /** Requests of the API since the last reset, oldest first. */
    requests: log.read,
    resetLog: log.reset,
    /** Calls the listener before each answer and waits for its promise. @returns a function that removes the listener */
    onRequest(listener: RequestListener): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    /** Resolves when no webhook is being sent and none waits for a retry. */
    deliveriesSettled: webhooks.settled,
    /** Stops listening, drops all connections and all pending webhooks. */
    close(): Promise<void> {
      webhooks.close();
      return close();
    },
  };
}

async function listen(app: Hono<{ Bindings: HttpBindings }>, hostname: string, port: number) {
  const server = createAdaptorServer({ fetch: app.fetch, hostname }) as Server;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, hostname, resolve);
  });
  const address = server.address() as AddressInfo;
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    url: `http://${name}:${address.port}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
