/**
 * `webhook ping`: sends a signed request that changes nothing to a receiver's public URL, as Calendly would, and says
 * which part of the way does not work: name, connection, TLS, path, key, clock or database.
 */
import type { ProxySettings } from '../calendly/proxy.js';
import { signatureHeader } from '../calendly/signature.js';
import { createTransport, type HttpResponse } from '../calendly/transport.js';

/** The event type of a ping. A receiver answers it and stores nothing. */
export const PING_EVENT = 'calendly_sync.ping';

export type PingStep =
  | 'dns'
  | 'connection'
  | 'tls'
  | 'timeout'
  | 'redirect'
  | 'path'
  | 'clock'
  | 'key'
  | 'database';

export interface PingProblem {
  step: PingStep;
  message: string;
  hint: string;
}

export interface PingResult {
  url: string;
  /** From the request to the response, in ms. */
  ms: number;
  /** The HTTP status; null without a response. */
  status: number | null;
  problem: PingProblem | null;
}

export interface PingOptions {
  /** The receiver's public URL, with its path. */
  url: string;
  signingKey: string;
  /** The proxies on the way out, as for the API. */
  proxies?: ProxySettings;
  timeoutMs?: number;
  /** The current time, in ms since 1970. */
  now?: () => number;
}

/** Calendly waits that long for a response. */
const TIMEOUT_MS = 15_000;
/** A receiver accepts signatures from so far in the future. */
const MAX_SKEW_MS = 300_000;

/** Pings a receiver. Never throws for what is wrong on the way. */
export async function pingReceiver(options: PingOptions): Promise<PingResult> {
  const { url, signingKey, proxies, timeoutMs = TIMEOUT_MS, now = Date.now } = options;
  const body = JSON.stringify({ event: PING_EVENT, created_at: new Date(now()).toISOString() });
  const signature = signatureHeader(signingKey, Buffer.from(body), Math.floor(now() / 1_000));
  const started = performance.now();
  const result = (status: number | null, problem: PingProblem | null): PingResult => {
    return { url, ms: Math.round(performance.now() - started), status, problem };
  };
  try {
    const target = new URL(url);
    const response = await createTransport(
      target,
      proxies,
    )({
      method: 'POST',
      url: target,
      body,
      headers: { 'content-type': 'application/json', 'calendly-webhook-signature': signature },
      signal: AbortSignal.timeout(timeoutMs),
    });
    return result(response.status, problemOf(response, now()));
  } catch (error) {
    return result(null, connectionProblem(error, url));
  }
}

function problemOf({ status, headers, text }: HttpResponse, now: number): PingProblem | null {
  const answer = parseAnswer(text);
  if (status === 200 && answer.status === 'pong') return null;
  if (status >= 300 && status < 400) {
    const message = `it redirects to ${headers.location ?? 'another URL'}`;
    return { step: 'redirect', message, hint: 'Calendly follows no redirects: use the final URL.' };
  }
  if (status === 401 && answer.error === 'unauthorized') {
    const skew = now - Date.parse(String(headers.date));
    if (Math.abs(skew) > MAX_SKEW_MS) {
      const message = `its clock differs from this one by ${Math.round(Math.abs(skew) / 1_000)} s`;
      return { step: 'clock', message, hint: 'Synchronize the clocks of both machines.' };
    }
    const message = 'it rejects the signature';
    const hint = 'Start the receiver with the same CALENDLY_WEBHOOK_SIGNING_KEY.';
    return { step: 'key', message, hint };
  }
  if (status === 503 && answer.status === 'pong') {
    const [message, hint] =
      answer.database === 'not_migrated'
        ? ['its database is not migrated', 'Run: calendly-sync migrate']
        : answer.database === 'read_only'
          ? ['its database refuses writes', 'Its DATABASE_URL must name the primary.']
          : ['its database does not answer', 'Check its DATABASE_URL.'];
    return { step: 'database', message, hint };
  }
  const message = `it answers ${status}, but not as this receiver does`;
  return { step: 'path', message, hint: 'Check the path of the URL and where the proxy sends it.' };
}

function parseAnswer(text: string): { status?: unknown; error?: unknown; database?: unknown } {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

function connectionProblem(error: unknown, url: string): PingProblem {
  const { host, hostname } = new URL(url);
  const code = String((error as { code?: unknown }).code ?? '');
  const reason = code || (error instanceof Error ? error.message : String(error));
  if ((error as Error).name === 'TimeoutError') {
    return {
      step: 'timeout',
      message: 'it does not answer in time',
      hint: `Check that ${host} can be reached.`,
    };
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    const hint = 'Check the host in the URL and its DNS record.';
    return { step: 'dns', message: `the name ${hostname} cannot be resolved (${code})`, hint };
  }
  if (/CERT|TLS|SSL|SIGNATURE|ISSUER|VERIFY/.test(code)) {
    const hint = 'Calendly needs a valid certificate with its whole chain.';
    return { step: 'tls', message: `the TLS connection fails (${code})`, hint };
  }
  const hint = `Check that the receiver runs and that ${host} leads to it.`;
  return { step: 'connection', message: `no connection to ${host} (${reason})`, hint };
}
