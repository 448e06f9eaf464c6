/**
 * One request to Calendly, from the first attempt to the last: through the throttle, with a timeout, its response
 * parsed, and retried where a retry can help. Knows no endpoint.
 */
import { setMaxListeners } from 'node:events';
import { type Clock, systemClock } from '../clock.js';
import { CalendlySyncError, messageOf } from '../errors.js';
import { retry } from '../retry.js';
import { version } from '../version.js';
import { ApiError, parseErrorBody, RequestError, toCalendlyError } from './errors.js';
import { parseJson } from './json.js';
import { isLoopback, type ProxySettings } from './proxy.js';
import type { Throttle } from './throttle.js';
import { createTransport, type HttpResponse, type HttpTransport } from './transport.js';

export interface HttpOptions {
  /**
   * Base of the API, no trailing slash. The token is never sent to another origin, and without TLS only to this
   * machine.
   */
  baseUrl: string;
  token: string;
  /** Another token, when Calendly has refused this one (401). Without it, or if it throws, the request fails. */
  renewToken?: ((refused: string) => Promise<string>) | undefined;
  clock?: Clock;
  /** What HTTP_PROXY, HTTPS_PROXY and NO_PROXY say. */
  proxies?: ProxySettings | undefined;
  /** Replaces the network, for tests. */
  transport?: HttpTransport | undefined;
  signal?: AbortSignal | undefined;
  /** Timeout of one attempt, headers and body, in ms. */
  timeoutMs?: number | undefined;
  /** First pause before a retry, in ms. */
  retryPauseMs?: number | undefined;
  /** Called after every attempt, for --verbose. */
  onAttempt?: ((attempt: HttpAttempt) => void) | undefined;
  /** Called when requests begin to wait. */
  onWait?: ((wait: HttpWait) => void) | undefined;
}

/** A request waits for its next attempt, or all of them wait for the rate limit (`outcome` is null then). */
export type HttpWait = { ms: number } & (
  | { outcome: number | string; attempt: number; attempts: number }
  | { outcome: null }
);

/** One attempt, as --verbose shows it. */
export interface HttpAttempt {
  method: string;
  path: string;
  /** The status, or the reason why there is none. */
  outcome: number | string;
  latencyMs: number;
}

interface Sent {
  attempts: number;
  outcome: number | string;
}

/**
 * Sends one request and returns what `parse` makes of the JSON (null for 204).
 * @param target a path below the base, or a URL
 * @throws CalendlySyncError `calendly_*`, or the signal's reason
 */
export type Send = <T>(
  method: 'GET' | 'POST' | 'DELETE',
  target: string | URL,
  parse: (json: unknown) => T,
  body?: object,
) => Promise<T>;

const TIMEOUT_MS = 20_000;
const RETRY_PAUSE_MS = 500;
const RETRIES = 5;
/**
 * Before the first valid response, the address is probably wrong or the network down: fail after seconds, not half a
 * minute.
 */
const RETRIES_BEFORE_FIRST_RESPONSE = 3;
/** 429s of one request before it fails; each waits for the end of the window. */
const MAX_429S = 15;

/** Creates the sender of one account. It counts the requests sent, and those among them that repeated another. */
export function createHttp(options: HttpOptions, throttle: Throttle) {
  const {
    baseUrl,
    clock = systemClock,
    signal,
    timeoutMs = TIMEOUT_MS,
    retryPauseMs = RETRY_PAUSE_MS,
  } = options;
  const counters = { requests: 0, retries: 0 };
  // Every request in flight listens to the same signal.
  if (signal) setMaxListeners(0, signal);
  const base = new URL(baseUrl);
  const { origin } = base;
  if (base.protocol !== 'https:' && !isLoopback(base)) {
    throw new CalendlySyncError('settings', `The token is not sent to ${origin}: it is not encrypted.`, {
      hint: 'CALENDLY_API_URL must begin with https://, except for a host of this machine.',
    });
  }
  const { transport = createTransport(base, options.proxies) } = options;
  let hasResponse = false;
  let { token } = options;
  let renewal: Promise<void> | null = null;

  /** Requests that were refused together ask once. */
  async function renew(refused: string, renewToken: (refused: string) => Promise<string>) {
    if (token !== refused) return;
    renewal ??= renewToken(refused)
      .then((renewed) => {
        token = renewed;
      })
      .finally(() => {
        renewal = null;
      });
    await renewal;
  }

  /** @param sent counts the attempts of this request, and keeps the outcome of the last one */
  async function attempt(method: string, url: URL, body: object | undefined, sent: Sent) {
    await throttle.acquire(signal);
    const started = clock.now();
    counters.requests++;
    if (sent.attempts++ > 0) counters.retries++;
    let response: HttpResponse | null = null;
    try {
      response = await exchange(method, url, body);
      sent.outcome = response.status;
      return response;
    } catch (error) {
      signal?.throwIfAborted();
      sent.outcome = networkReason(error);
      throw new RequestError('network', sent.outcome, { cause: error });
    } finally {
      const latencyMs = clock.now() - started;
      const { outcome } = sent;
      if (!signal?.aborted)
        options.onAttempt?.({ method, path: url.pathname + url.search, outcome, latencyMs });
      throttle.release(response, latencyMs);
    }
  }

  async function exchange(method: string, url: URL, body: object | undefined): Promise<HttpResponse> {
    // One controller per attempt, detached afterwards: AbortSignal.any() on a signal that lives as long as the run
    // would leak.
    const controller = new AbortController();
    const abort = () => controller.abort(signal?.reason);
    const timer = setTimeout(
      () => controller.abort(new DOMException('timed out', 'TimeoutError')),
      timeoutMs,
    );
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return await transport({
        method,
        url,
        signal: controller.signal,
        headers: {
          authorization: `Bearer ${token}`,
          accept: 'application/json',
          // The CDN in front of Calendly is reported to reject some libraries' default agents.
          'user-agent': `calendly-sync/${version}`,
          ...(body ? { 'content-type': 'application/json' } : {}),
        },
        body: body && JSON.stringify(body),
      });
    } catch (error) {
      // An aborted socket fails with a reason of its own.
      throw controller.signal.aborted ? controller.signal.reason : error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  const send: Send = async (method, target, parse, body) => {
    const url = new URL(typeof target === 'string' ? baseUrl + target : target);
    const request = `${method} ${url.pathname}`;
    const sent: Sent = { attempts: 0, outcome: '' };
    let rateLimited = 0;
    let isRenewed = false;
    const once = async () => {
      for (;;) {
        const used = token;
        const response = await attempt(method, url, body, sent);
        if (response.status === 429) {
          if (++rateLimited >= MAX_429S) throw new ApiError(429, {}, request);
          continue;
        }
        if (response.status === 401 && options.renewToken && !isRenewed) {
          isRenewed = true;
          await renew(used, options.renewToken);
          continue;
        }
        const value = parseResponse(response, request, parse);
        hasResponse = true;
        return value;
      }
    };
    let retries = RETRIES;
    const shouldRetry = (error: unknown, retriesDone: number) => {
      if (!(error instanceof RequestError) || error.kind === 'pause') return false;
      retries = error.kind === 'server' || hasResponse ? RETRIES : RETRIES_BEFORE_FIRST_RESPONSE;
      return retriesDone < retries;
    };
    const onRetry = (ms: number, retriesDone: number) =>
      options.onWait?.({ ms, outcome: sent.outcome, attempt: retriesDone + 2, attempts: retries + 1 });
    try {
      if (url.origin !== origin)
        throw new RequestError('invalid', `${url.origin} is not Calendly's API; not asked.`);
      return await retry(once, {
        retries: RETRIES,
        pauseMs: retryPauseMs,
        shouldRetry,
        onRetry,
        clock,
        signal,
      });
    } catch (error) {
      throw toCalendlyError(error, baseUrl);
    }
  };
  return { send, counters };
}

function parseResponse<T>(response: HttpResponse, request: string, parse: (json: unknown) => T): T {
  const { status, text, headers } = response;
  const invalid = (what: string) => new RequestError('invalid', `${request} ${what}.`);
  if (status >= 300 && status < 400) {
    const target = headers.location ?? 'nowhere';
    throw invalid(`was redirected (${status}) to ${target}; redirects are not followed`);
  }
  if (status >= 500 || status === 408 || status === 425) {
    throw new RequestError('server', `${request}: status ${status}`);
  }
  const json = status === 204 ? null : parseBody(response, request);
  if (status < 300) return parse(json);
  const body = parseErrorBody(json);
  if (body === null) throw invalid(`got status ${status} ${preview(text)}`);
  throw new ApiError(status, body, request);
}

function parseBody({ status, text }: HttpResponse, request: string): unknown {
  try {
    return parseJson(text);
  } catch {
    // A 404 with a page comes from another server than Calendly's: its address is wrong.
    const kind = isWebPage(text) && status !== 404 ? 'web_page' : 'invalid';
    throw new RequestError(kind, `${request} got status ${status} ${preview(text)} instead of JSON.`);
  }
}

function preview(text: string): string {
  const start = text.trim().replace(/\s+/g, ' ').slice(0, 60);
  if (start === '') return 'with an empty body';
  return isWebPage(text) ? 'with an HTML page' : `with the text “${start}”`;
}

function isWebPage(text: string): boolean {
  return /^\s*<(!doctype|html|\?xml)/i.test(text);
}

/** Why there is no response: the system's code if it has one. */
function networkReason(error: unknown): string {
  const { code } = Object(error) as { code?: unknown };
  return typeof code === 'string' ? code : messageOf(error);
}
