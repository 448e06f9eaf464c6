/** What `doctor` checks at Calendly: the way there, the clock, the token and what it may do; and the receiver. */
import { createCalendlyClient } from '../calendly/client.js';
import { readRateHeaders } from '../calendly/rate-limit.js';
import { createTransport } from '../calendly/transport.js';
import type { Config } from '../config.js';
import { CalendlySyncError, messageOf } from '../errors.js';
import { pingReceiver } from '../webhook/ping.js';
import { type Finding, findingsOf } from './finding.js';

const TIMEOUT_MS = 10_000;
/** A receiver accepts signatures from so far in the future. */
const MAX_SKEW_MS = 300_000;

/** The way to Calendly and its clock: one request without a token, whose answer is a 401. */
export async function checkWay(config: Config): Promise<Finding> {
  const { calendlyApiUrl: base } = config;
  const way = findingsOf('calendly', base);
  const url = new URL(`${base}/users/me`);
  const started = Date.now();
  try {
    const request = { method: 'GET', url, headers: {}, signal: AbortSignal.timeout(TIMEOUT_MS) };
    const { headers } = await createTransport(url, config)(request);
    const ms = Date.now() - started;
    const skewMs = Date.parse(String(headers.date)) - started;
    if (Math.abs(skewMs) > MAX_SKEW_MS) {
      const message = `its clock differs from this machine's by ${Math.round(Math.abs(skewMs) / 1_000)} s`;
      return way.failed(message, 'Synchronize the clock of this machine: timedatectl set-ntp true');
    }
    return way.ok(`answers in ${ms} ms; the clocks agree`);
  } catch (error) {
    const hint = 'Check the network, HTTPS_PROXY and CALENDLY_API_URL, and https://www.calendlystatus.com';
    return way.failed(`does not answer: ${messageOf(error)}`, hint);
  }
}

/** Whose token it is, how many requests it has left, and which of our endpoints it may use. */
export async function checkToken(config: Config, signal: AbortSignal): Promise<Finding[]> {
  const { calendlyApiUrl: baseUrl, calendlyToken: token } = config;
  const whose = findingsOf('token', 'CALENDLY_TOKEN');
  if (token === null) return [whose.skipped('it is not set; sync then needs: calendly-sync account connect')];
  const client = createCalendlyClient({ baseUrl, token, proxies: config, signal, timeoutMs: TIMEOUT_MS });
  try {
    const { value: me } = await client.me();
    const now = Date.now();
    const { uri: user, current_organization: organization } = me;
    const scopes = findingsOf('scopes', 'scheduled events, webhook subscriptions');
    const missing: string[] = [];
    const attempt = async (work: Promise<unknown>) => {
      await work.catch((error) => {
        if (!(error instanceof CalendlySyncError) || error.code !== 'calendly_forbidden') throw error;
        missing.push(error.message);
      });
    };
    await attempt(client.listEvents(user, { from: now, to: now + 3_600_000 }).next());
    if (organization) await attempt(client.subscriptions.list({ scope: 'user', organization, user }));
    return [
      whose.ok(`belongs to ${me.email ?? user}${await headroom(config, token)}`),
      missing.length > 0
        ? scopes.failed(missing.join(' '), 'Create a token with these scopes, and set CALENDLY_TOKEN.')
        : scopes.ok('may read both'),
    ];
  } catch (error) {
    return [whose.error(error)];
  }
}

async function headroom({ calendlyApiUrl: base, ...proxies }: Config, token: string): Promise<string> {
  const url = new URL(`${base}/users/me`);
  const headers = { authorization: `Bearer ${token}` };
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const response = await createTransport(url, proxies)({ method: 'GET', url, headers, signal });
  const rate = readRateHeaders(response.headers);
  return rate ? `; ${rate.remaining} of ${rate.limit} requests left this minute` : '';
}

/** The signing key, and the way from the public URL of the receiver to its database. */
export async function checkReceiver(config: Config, url: string | null): Promise<Finding[]> {
  const key = findingsOf('signing key', 'CALENDLY_WEBHOOK_SIGNING_KEY');
  const [signingKey] = config.webhookSigningKeys;
  const receiver = findingsOf('receiver', url ?? 'calendly_accounts');
  if (signingKey === undefined) {
    return [
      url === null
        ? key.skipped('it is not set; only webhook serve needs it')
        : key.failed('it is not set', 'Set it to the key of the webhook subscription.'),
    ];
  }
  const set = key.ok(`${config.webhookSigningKeys.length} set`);
  if (url === null)
    return [set, receiver.skipped('there is no webhook subscription; check a receiver with --url')];
  const { ms, problem } = await pingReceiver({ url, signingKey, proxies: config, timeoutMs: TIMEOUT_MS });
  return [set, problem ? receiver.failed(problem.message, problem.hint) : receiver.ok(`answers in ${ms} ms`)];
}
