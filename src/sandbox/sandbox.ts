/**
 * A local Calendly on a port of its own: `startSandbox` for tests and the demo, the `sandbox` command for everybody else.
 */

import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer, type HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { createApi } from './app.js';
import { createAgenda } from './bookings.js';
import { type Control, createControl } from './control.js';
import { controlRoutes } from './control-routes.js';
import { createDeliveries } from './deliveries.js';
import type { RequestListener } from './middleware.js';
import { OAUTH_CLIENT } from './oauth-routes.js';
import type { Role } from './people.js';
import type { RequestEntry } from './request-log.js';
import { createWorld } from './state.js';

/** How a sandbox is to be; everything has a default. */
export interface SandboxOptions {
  /** 0, the default, takes a free one. */
  port?: number;
  /** Address to listen on; 127.0.0.1 by default. */
  host?: string;
  /** Generated meetings of each host; 250 by default, 0 for empty accounts. Host 0 sees exactly so many. */
  events?: number;
  /** Users of the organization; 3 by default. */
  hosts?: number;
  seed?: number;
  /** Milliseconds before each answer; 0 by default. */
  latency?: number;
  /** Requests per minute and user; 500 by default. */
  rateLimit?: number;
  /** Where the sandbox's clock begins; the present by default. */
  now?: Date;
  /** Life of a page token in ms; 5 minutes by default. */
  pageTokenLifetime?: number;
  /** Leaves out meetings that start exactly at a bound of the listing's window. */
  exclusiveBounds?: boolean;
  /** Hears of each request when it is answered, or when a fault has cut it off. */
  onAnswer?: (entry: Readonly<RequestEntry>) => void;
}

/** A user of the sandbox and the token that stands for them. */
interface SandboxHost {
  token: string;
  uri: string;
  email: string;
  name: string;
  role: Role;
}

export interface Sandbox {
  /** Base of the API and of OAuth, no trailing slash. */
  url: string;
  controlUrl: string;
  /** Host 0 is the organization's owner, 1 a plain member, 2 an admin, all others plain members. */
  hosts: SandboxHost[];
  /** URI of the organization. */
  organization: string;
  /** The OAuth client that `/oauth/token` knows. */
  client: { client_id: string; client_secret: string };
  control: Control;
  /** Requests since the last reset, oldest first; the control API's own are not among them. */
  requests(): RequestEntry[];
  resetLog(): void;
  /** Hears of each request before it is answered, and holds it until its promise is done. @returns stops listening */
  onRequest(listener: RequestListener): () => void;
  /** Done when no webhook is on its way and none waits to be sent again. */
  deliveriesSettled(): Promise<void>;
  /** Stops listening, drops all connections and all webhooks on their way. */
  close(): Promise<void>;
}

/** Starts a local Calendly. @throws what `listen` throws, for example EADDRINUSE */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const seed = options.seed ?? 1;
  const world = createWorld({
    seed,
    events: options.events ?? 250,
    hosts: options.hosts ?? 3,
    now: options.now,
    rateLimit: options.rateLimit ?? 500,
    pageTokenLifetimeMs: options.pageTokenLifetime ?? 300_000,
    exclusiveBounds: options.exclusiveBounds ?? false,
  });
  const deliveries = createDeliveries(world.subscriptions, world.clock);
  const control = createControl(world, createAgenda(world, seed, deliveries.announce), deliveries);
  const listeners = new Set<RequestListener>();
  const manners = { latencyMs: options.latency ?? 0, listeners, onAnswer: options.onAnswer ?? (() => {}) };
  const app = new Hono<{ Bindings: HttpBindings }>();
  app.route('/_control', controlRoutes(control, world.log));
  const api = createApi(world, manners);
  app.all('*', (c) => api.fetch(c.req.raw, c.env));
  const { url, close } = await listen(app, options.host ?? '127.0.0.1', options.port ?? 0);
  return {
    url,
    controlUrl: `${url}/_control`,
    hosts: world.organization.hosts.map(({ token, role, user: { uri, email, name } }) => ({
      token,
      uri,
      email,
      name,
      role,
    })),
    organization: world.organization.uri,
    client: OAUTH_CLIENT,
    control,
    requests: world.log.entries,
    resetLog: world.log.reset,
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
