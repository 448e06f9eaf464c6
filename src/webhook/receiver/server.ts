/** The receiver as an HTTP server of its own, on Node. Disconnects slow senders; closing waits for open requests. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { listenError } from '../../listen-error.js';
import type { WebhookHandler } from './handler.js';

export interface WebhookServer {
  /** Where it listens, without a trailing slash. */
  url: string;
  /** Accepts no more requests, answers those in progress, and closes the handler. */
  close(): Promise<void>;
}

const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 15_000;
/** Calendly opens a few; anything beyond that is an attack on our memory. */
const MAX_CONNECTIONS = 512;
/** How long open connections may take to end by themselves. */
const CLOSE_TIMEOUT_MS = 20_000;

/**
 * Starts listening. Port 0 takes a free port.
 * @throws CalendlySyncError `settings` if the address is not available
 */
export async function startWebhookServer(
  handler: WebhookHandler,
  { host, port }: { host: string; port: number },
): Promise<WebhookServer> {
  const server = createAdaptorServer({
    fetch: handler,
    serverOptions: {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: 16_384,
    },
  }) as Server;
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(listenError(cause, { host, port })));
    server.listen(port, host, resolve);
  });
  const { address, family, port: taken } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${taken}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      const timer = setTimeout(() => server.closeAllConnections(), CLOSE_TIMEOUT_MS);
      await closed;
      clearTimeout(timer);
      await handler.close();
    },
  };
}
