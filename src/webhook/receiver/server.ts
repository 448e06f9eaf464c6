/** The receiver as an HTTP server of its own, on Node. Disconnects slow senders; closing waits for open requests. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { listenError } from '../../listen-error.js';
import { limitConnections } from './connections.js';
import { type Endpoint, type Incoming, json } from './exchange.js';
import type { WebhookHandler } from './handler.js';

export interface Address {
  host: string;
  /** 0 takes a free port. */
  port: number;
}

export interface WebhookServer {
  /** Where it listens, without a trailing slash. */
  url: string;
  /** Accepts no more requests, answers those in progress, and closes the handler. */
  close(): Promise<void>;
}

const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 15_000;
/** Longer than proxies keep theirs: a proxy must not send a request into a connection that is just being closed. */
const KEEP_ALIVE_MS = 75_000;
/** Calendly opens a few; anything beyond that is an attack on our memory. */
const MAX_CONNECTIONS = 512;
/** How long open connections may take to end by themselves. */
const CLOSE_TIMEOUT_MS = 20_000;
/** How long a client that still sends its body may take to read a response. */
const LINGER_MS = 500;

/**
 * Starts listening.
 * @throws CalendlySyncError `settings` if the address is not available
 */
export async function startWebhookServer(handler: WebhookHandler, address: Address): Promise<WebhookServer> {
  const server = await listen(handler, address, handler.connectionDropped);
  return {
    url: server.url,
    async close() {
      await server.close();
      await handler.close();
    },
  };
}

/** Serves one endpoint. @param onDropped called for each connection that is destroyed because of the limit */
export async function listen(
  endpoint: Endpoint,
  { host, port }: Address,
  onDropped: () => void = () => {},
): Promise<WebhookServer> {
  let closing = false;
  const server = createServer({
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: 1_000,
    maxHeaderSize: 16_384,
  });
  limitConnections(server, MAX_CONNECTIONS, onDropped);
  server.on('request', (request, response) => void answer(endpoint, request, response, () => closing));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(listenError(cause, { host, port })));
    server.listen(port, host, resolve);
  });
  const { address, family, port: taken } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${taken}`,
    async close() {
      closing = true;
      const closed = new Promise((resolve) => server.close(resolve));
      const timer = setTimeout(() => server.closeAllConnections(), CLOSE_TIMEOUT_MS);
      await closed;
      clearTimeout(timer);
    },
  };
}

async function answer(
  endpoint: Endpoint,
  request: IncomingMessage,
  response: ServerResponse,
  isClosing: () => boolean,
): Promise<void> {
  if (request.socket.destroyed) return;
  const { status, headers, body } = await endpoint
    .respond(fromMessage(request))
    .catch(() => json(500, { error: 'internal error' }));
  if (isClosing()) response.setHeader('connection', 'close');
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
  response.end(body);
  if (request.complete) return;
  // Closing at once would reset the connection before the client has read the response.
  request.resume();
  const timer = setTimeout(() => request.socket.destroy(), LINGER_MS);
  request.once('end', () => clearTimeout(timer));
}

function fromMessage(request: IncomingMessage): Incoming {
  const { method = '', url = '/', headers } = request;
  return {
    method,
    path: pathOf(url),
    get origin() {
      const origin = `http://${headers.host?.slice(0, 255) ?? ''}`;
      return URL.canParse(origin) ? origin : '';
    },
    header(name) {
      const value = headers[name];
      return typeof value === 'string' ? value : null;
    },
    read: (take) => readBody(request, take),
  };
}

/** The path of a request target, which may be a whole URL. */
function pathOf(target: string): string {
  if (target.startsWith('/')) return target.replace(/[?#].*$/s, '');
  return URL.canParse(target) ? new URL(target).pathname : target;
}

function readBody(request: IncomingMessage, take: (chunk: Uint8Array) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const onData = (chunk: Uint8Array) => {
      if (take(chunk)) return;
      request.off('data', onData);
      resolve();
    };
    request.on('data', onData);
    request.once('end', resolve);
    request.once('error', reject);
    request.once('close', () => reject(new Error('the client disconnected')));
  });
}
