/** A local Calendly on its own port. Tests and the demo call `startSandbox`; people run the `sandbox` command. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer, type HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { createApi, type RequestListener, type ServerBehavior } from './api.js';
import { type Control, controlRoutes, createControl } from './control.js';
import { OAUTH_CLIENT } from './oauth.js';
import type { Role } from './people.js';
import type { RequestEntry } from './request-log.js';
import { createState, type StateOptions } from './state.js';

export interface SandboxOptions extends StateOptions {
  /** 0, the default, takes a free one. */
  port?: number;
  /** Address to listen on; 127.0.0.1 by default. */
  host?: string;
  /** Milliseconds before each answer; 0 by default. */
  latency?: number;
  /** Called with each request when it is answered, or broken off by a fault. */
  onAnswer?: ServerBehavior['onAnswer'];
}

export interface Sandbox {
  /** Base of the API and of OAuth, without a trailing slash. */
  url: string;
  controlUrl: string;
  /** Host 0 is the organization's owner, 1 a plain member, 2 an admin, all others plain members. */
  hosts: { token: string; uri: string; email: string; name: string; role: Role }[];
  /** URI of the organization. */
  organization: string;
  /** The OAuth client that `/oauth/token` knows. */
  client: { client_id: string; client_secret: string };
  control: Control;
  /** Requests of the API since the last reset, oldest first. */
  requests(): RequestEntry[];
  resetLog(): void;
  /** Calls the listener before each answer and waits for its promise. @returns a function that removes the listener */
  onRequest(listener: RequestListener): () => void;
  /** Resolves when no webhook is being sent and none waits for a retry. */
  deliveriesSettled(): Promise<void>;
  /** Stops listening, drops all connections and all pending webhooks. */
  close(): Promise<void>;
}

/** Starts a local Calendly. @throws what `listen` throws, for example EADDRINUSE */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const state = createState(options);
  const control = createControl(state);
  const listeners = new Set<RequestListener>();
  const { latency: latencyMs = 0, onAnswer = () => {} } = options;
  const api = createApi(state, { latencyMs, listeners, onAnswer });
  const app = new Hono<{ Bindings: HttpBindings }>();
  app.route('/_control', controlRoutes(control));
  app.all('*', (c) => api.fetch(c.req.raw, c.env));
  const { url, close } = await listen(app, options.host ?? '127.0.0.1', options.port ?? 0);
  const { organization, log, deliveries } = state;
  return {
    url,
    controlUrl: `${url}/_control`,
    hosts: organization.hosts.map(({ token, role, user: { uri, email, name } }) => {
      return { token, uri, email, name, role };
    }),
    organization: organization.uri,
    client: OAUTH_CLIENT,
    control,
    requests: log.entries,
    resetLog: log.reset,
    onRequest(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    deliveriesSettled: deliveries.settled,
    close() {
      deliveries.close();
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
