/** Which proxy a request goes through, and the tunnel through it. Reads no environment: the settings are passed in. */
import http, { type RequestOptions } from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import tls, { type ConnectionOptions } from 'node:tls';
import type { Config } from '../config.js';

/** What HTTP_PROXY, HTTPS_PROXY and NO_PROXY say. */
export type ProxySettings = Partial<Pick<Config, 'httpProxy' | 'httpsProxy' | 'noProxy'>>;

/** True for a host of this machine. */
export function isLoopback({ hostname }: Pick<URL, 'hostname'>): boolean {
  return /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}

/** The proxy for an origin; null if it is reached directly. */
export function proxyFor(origin: URL, { httpProxy, httpsProxy, noProxy = [] }: ProxySettings): URL | null {
  const secure = origin.protocol === 'https:';
  const setting = secure ? httpsProxy : httpProxy;
  if (!setting || noProxy.some((entry) => excludes(entry, origin, secure ? '443' : '80'))) return null;
  const proxy = new URL(setting);
  // Another machine cannot reach this one's loopback address, and must not read what is sent to it.
  return isLoopback(origin) && !isLoopback(proxy) ? null : proxy;
}

function excludes(entry: string, { hostname, port }: URL, defaultPort: string): boolean {
  if (entry === '*') return true;
  const [, name = '', entryPort] = /^(?:\*?\.)?(.+?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? [];
  if (entryPort !== undefined && entryPort !== (port || defaultPort)) return false;
  return hostname === name || hostname === `[${name}]` || hostname.endsWith(`.${name}`);
}

/** The header with the user and password of a proxy's URL, if it has them. */
export function proxyAuthorization({ username, password }: URL): Record<string, string> {
  if (username === '') return {};
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(credentials).toString('base64')}` };
}

type Callback = (error: Error | null, socket?: Duplex) => void;

/** For one CONNECT, in ms. */
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * The `createConnection` of an https agent whose connections go through a proxy. The proxy sees only host and port: TLS
 * runs inside the tunnel.
 */
export function tunnelThrough(proxy: URL) {
  return (options: RequestOptions & ConnectionOptions, callback: Callback): void => {
    const authority = `${options.host}:${options.port}`;
    const { request: open } = proxy.protocol === 'https:' ? https : http;
    const headers = { host: authority, ...proxyAuthorization(proxy) };
    const request = open(proxy, { method: 'CONNECT', path: authority, headers, agent: false });
    const fail = (reason: string) => callback(new Error(`the proxy ${proxy.host} ${reason}`));
    request.setTimeout(CONNECT_TIMEOUT_MS, () => request.destroy(new Error('timed out')));
    // The request that waits for the tunnel keeps the process alive, and not longer than it waits.
    request.on('socket', (socket) => socket.unref());
    request.on('error', (error: NodeJS.ErrnoException) => {
      fail(`does not answer (${error.code ?? error.message})`);
    });
    request.on('connect', ({ statusCode }, socket) => {
      if (statusCode === 200)
        return callback(null, tls.connect({ ...options, socket: socket.setTimeout(0).ref() }));
      socket.destroy();
      fail(`answered ${statusCode}`);
    });
    request.end();
  };
}
