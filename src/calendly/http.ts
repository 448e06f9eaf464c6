/**
 * One request to Calendly, from the first attempt to the last: through the gate, with a time limit, read whole, understood,
 * and tried again where that can help. Knows no endpoint.
 */
import { setMaxListeners } from 'node:events';
import pRetry, { AbortError } from 'p-retry';
import type { Clock } from '../clock.js';
import { version } from '../version.js';
import {
  ApiError,
  InvalidResponseError,
  NetworkError,
  readErrorBody,
  reasonOf,
  ServerError,
} from './errors.js';
import { parseJson } from './json.js';
import type { Gate } from './throttle.js';

export interface HttpOptions {
  /** Base of the API, no trailing slash. Nothing is ever sent to another origin: the token stays home. */
  baseUrl: string;
  token: string;
  gate: Gate;
  clock: Clock;
  fetch: typeof fetch;
  signal?: AbortSignal | undefined;
  /** Longest time for one attempt, headers and body, in ms. */
  timeoutMs: number;
  /** First pause before a retry in ms; doubles each time, with jitter. */
  retryPauseMs: number;
  /** Told of every attempt, for --verbose. */
  onAttempt?: ((attempt: Attempt) => void) | undefined;
}

/** One attempt, as --verbose shows it. */
export interface Attempt {
  method: string;
  path: string;
  /** Status, or why there is none. */
  outcome: number | string;
  latencyMs: number;
}

/** What was sent so far. */
export interface HttpCounters {
  /** Every request sent, retries included. */
  requests: number;
  /** Those among them that repeated another. */
  retries: number;
}

/** Sends one request and answers what `understand` makes of the JSON. */
export type Send = <T>(
  method: 'GET' | 'POST' | 'DELETE',
  url: URL,
  understand: (json: unknown) => T,
  body?: object,
) => Promise<T>;

/** Retries after network errors, 5xx and answers that are none; six attempts in all. */
const RETRIES = 5;
/** Where nothing was ever understood, the address is probably wrong or the network down: said after seconds, not after half a minute. */
const FIRST_RETRIES = 3;
/** 429s of one request before it is given up; each waits for the window's end. */
const MOST_REFUSALS = 15;
const LONGEST_PAUSE_MS = 20_000;

/** The sender of one account, and its counters. */
export function createHttp(options: HttpOptions): { send: Send; counters: HttpCounters } {
  const { clock, gate, signal } = options;
  const counters: HttpCounters = { requests: 0, retries: 0 };
  // Every request under way listens to the one signal.
  if (signal) setMaxListeners(0, signal);
  const origin = new URL(options.baseUrl).origin;
  let answeredOnce = false;

  async function attempt(
    method: string,
    url: URL,
    body: object | undefined,
    retry: boolean,
  ): Promise<Answer> {
    await gate.enter(signal);
    const started = clock.now();
    counters.requests++;
    if (retry) counters.retries++;
    const report = (outcome: number | string) =>
      options.onAttempt?.({
        method,
        path: url.pathname + url.search,
        outcome,
        latencyMs: clock.now() - started,
      });
    let answer: Answer | null = null;
    try {
      answer = await exchange(method, url, body);
      report(answer.status);
      return answer;
    } catch (thrown) {
      if (signal?.aborted) throw signal.reason;
      const reason = thrown instanceof Error ? reasonOf(thrown) : String(thrown);
      report(reason);
      throw new NetworkError(reason, { cause: thrown });
    } finally {
      gate.leave(answer, clock.now() - started);
    }
  }

  async function exchange(method: string, url: URL, body: object | undefined): Promise<Answer> {
    // One controller per attempt, unhooked at its end: AbortSignal.any() on a signal that lives as long as the run would pile up.
    const ending = new AbortController();
    const stop = () => ending.abort(signal?.reason);
    const timer = setTimeout(
      () => ending.abort(new DOMException('timed out', 'TimeoutError')),
      options.timeoutMs,
    );
    signal?.addEventListener('abort', stop, { once: true });
    try {
      const response = await options.fetch(url, {
        method,
        // A redirect is looked at, never followed: it would carry the token to wherever it points.
        redirect: 'manual',
        signal: ending.signal,
        headers: {
          authorization: `Bearer ${options.token}`,
          accept: 'application/json',
          // The CDN in front of Calendly is reported to reject some libraries' default agents.
          'user-agent': `calendly-sync/${version}`,
          ...(body ? { 'content-type': 'application/json' } : {}),
        },
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
      return { status: response.status, headers: response.headers, text: await response.text() };
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
    }
  }

  const send: Send = async (method, url, understand, body) => {
    if (url.origin !== origin) {
      throw new InvalidResponseError(
        `Calendly named a page on another host (${url.origin}); the token stays home.`,
      );
    }
    const request = `${method} ${url.pathname}`;
    let first = true;
    let refusals = 0;
    return pRetry(
      async () => {
        for (;;) {
          const answer = await attempt(method, url, body, !first);
          first = false;
          if (answer.status !== 429) {
            const understood = understandAnswer(answer, request, understand);
            answeredOnce = true;
            return understood;
          }
          if (++refusals >= MOST_REFUSALS) {
            throw new AbortError(new ApiError(429, {}, request));
          }
        }
      },
      {
        retries: RETRIES,
        minTimeout: options.retryPauseMs,
        maxTimeout: LONGEST_PAUSE_MS,
        randomize: true,
        ...(signal ? { signal } : {}),
        shouldRetry: ({ error, retriesConsumed }) =>
          !(error instanceof ApiError) &&
          (answeredOnce || error instanceof ServerError || retriesConsumed < FIRST_RETRIES),
      },
    );
  };
  return { send, counters };
}

interface Answer {
  status: number;
  headers: Headers;
  text: string;
}

function understandAnswer<T>(answer: Answer, request: string, understand: (json: unknown) => T): T {
  const { status, text } = answer;
  if (status >= 300 && status < 400) {
    const target = answer.headers.get('location') ?? 'nowhere';
    throw new InvalidResponseError(
      `${request} was redirected (${status}) to ${target}; redirects are not followed.`,
    );
  }
  if (status >= 500 || status === 408 || status === 425) throw new ServerError(status, request);
  const json = status === 204 ? null : parseAnswer(answer, request);
  if (status < 300) return understand(json);
  const body = readErrorBody(json);
  if (body === null) throw new InvalidResponseError(`${request} got status ${status} ${preview(text)}.`);
  throw new ApiError(status, body, request);
}

function parseAnswer({ status, text }: Answer, request: string): unknown {
  try {
    return parseJson(text);
  } catch {
    throw new InvalidResponseError(`${request} got status ${status} ${preview(text)} where JSON was due.`);
  }
}

function preview(text: string): string {
  const start = text.trim().replace(/\s+/g, ' ').slice(0, 60);
  if (start === '') return 'with an empty body';
  return /^<(!doctype|html|\?xml)/i.test(start) ? 'with an HTML page' : `with the text “${start}”`;
}
