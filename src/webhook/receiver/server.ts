/** The receiver as an HTTP server of its own, on Node. Slow senders are cut off; closing finishes what is in hand. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { CalendlySyncError } from '../../errors.js';
import type { WebhookHandler } from './handler.js';

export interface WebhookServer {
  /** Where it listens, no trailing slash. */
  url: string;
  /** Takes no more requests, answers those in hand, and ends. */
  close(): Promise<void>;
}

const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 15_000;
/** Calendly opens a few; the rest is somebody who wants to use up memory. */
const MOST_CONNECTIONS = 512;
/** How long open connections may take to end on their own. */
const CLOSE_TIMEOUT_MS = 20_000;

/**
 * Listens. Port 0 takes a free one.
 * @throws CalendlySyncError `settings` when the address cannot be had
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
  server.maxConnections = MOST_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(listenFailure(cause, host, port)));
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    url: `http://${name}:${address.port}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      const timer = setTimeout(() => server.closeAllConnections(), CLOSE_TIMEOUT_MS);
      await closed;
      clearTimeout(timer);
      await handler.close();
    },
  };
}

function listenFailure(cause: NodeJS.ErrnoException, host: string, port: number): CalendlySyncError {
  const why = cause.code === 'EADDRINUSE' ? 'another program listens there' : cause.message;
  return new CalendlySyncError('settings', `The receiver cannot listen on ${host}:${port}: ${why}.`, {
    hint: 'Choose another with --host and --port.',
    cause,
  });
}
