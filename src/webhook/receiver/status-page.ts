/**
 * Who may see the status page. Without a token only somebody on this machine, who asked for it by a local name and
 * through no proxy: a page in a browser, or a tunnel to the receiver, must not reach it. Knows nothing of its content.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { isLoopback } from '../../calendly/proxy.js';
import { type Incoming, json, type Reply } from './exchange.js';

export interface StatusPage {
  /** Renders the page. */
  render(): Promise<string>;
  /** Its content security policy. */
  policy: string;
  /** The password of HTTP's basic authentication, with any user name; null: see above. */
  token: string | null;
}

const FORWARDED = [
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-real-ip',
  'via',
  'cf-connecting-ip',
];
/** However often it is requested, the database is asked no more often. */
const MAX_AGE_MS = 2_000;

/**
 * The page as an endpoint.
 * @param isLocal it listens on an address of this machine only
 */
export function createStatusPage(
  { render, policy, token }: StatusPage,
  isLocal: boolean,
): (incoming: Incoming) => Promise<Reply> {
  let latest: { at: number; html: Promise<string> } | null = null;
  return async (incoming) => {
    if (token === null && !(isLocal && isDirect(incoming))) return json(404, { error: 'not found' });
    if (token !== null && !hasToken(incoming, token)) {
      return json(401, { error: 'unauthorized' }, { 'www-authenticate': 'Basic realm="calendly-sync"' });
    }
    if (latest === null || Date.now() - latest.at > MAX_AGE_MS) latest = { at: Date.now(), html: render() };
    try {
      return { status: 200, headers: headersOf(policy), body: await latest.html };
    } catch {
      return json(503, { error: 'the database does not answer, or is not migrated' });
    }
  };
}

function headersOf(policy: string): Record<string, string> {
  return {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': `${policy}; frame-ancestors 'none'`,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
  };
}

function isDirect({ origin, header }: Incoming): boolean {
  return origin !== '' && isLoopback(new URL(origin)) && FORWARDED.every((name) => header(name) === null);
}

function hasToken({ header }: Incoming, token: string): boolean {
  const [, encoded = ''] = /^Basic ([\w+/=]+)$/i.exec(header('authorization') ?? '') ?? [];
  const [, password = ''] = /^[^:]*:(.*)$/s.exec(Buffer.from(encoded, 'base64').toString()) ?? [];
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(password), digest(token));
}
