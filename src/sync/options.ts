/** What a sync is told, and what follows from that alone: the token, the client, the one meeting. */
import { type CalendlyClient, type ClientOptions, createCalendlyClient } from '../calendly/client.js';
import type { ProxySettings } from '../calendly/proxy.js';
import type { HttpTransport } from '../calendly/transport.js';
import type { Config } from '../config.js';
import type { Database } from '../database/connection.js';
import { CalendlySyncError } from '../errors.js';
import type { ResourceName } from '../resources/names.js';
import type { Repair } from '../webhook/subscriptions/repair.js';
import type { Counts, OnSyncEvent, UserResult } from './report.js';

export interface SyncOptions {
  config: Pick<Config, 'calendlyToken' | 'calendlyApiUrl'> &
    Partial<Pick<Config, 'webhookSigningKeys' | 'resources'>> &
    ProxySettings;
  database: Database;
  /** Stops the sync when it is aborted; what was read so far is stored. */
  signal?: AbortSignal | undefined;
  /** Told what happens. If it throws, the sync goes on. */
  onEvent?: OnSyncEvent | undefined;
  /** `users.id` or e-mail of the users to sync; empty: every account. */
  users?: string[];
  /** Only reports what would change; writes nothing. */
  dryRun?: boolean;
  /** Max requests in progress at a time, per account. */
  concurrency?: number | undefined;
  /** A custom window of start times, in ms since 1970. */
  since?: number | undefined;
  until?: number | undefined;
  /** Reads only this meeting, named by its event's URI or the last part of it; the sync state stays as it is. */
  event?: string | undefined;
  /** Reads only these resources, now, and no meetings; the sync state stays as it is. */
  only?: readonly ResourceName[] | undefined;
  /** Returns the current time in ms since 1970. */
  now?: () => number;
  /** Runs a full sync, even if the initial sync is complete. */
  full?: boolean | undefined;
  /** Reads the invitees of all meetings in the window again. */
  reread?: boolean | undefined;
  /** False leaves a disabled webhook subscription as it is. */
  repair?: boolean | undefined;
  /** Replaces the network, for tests. */
  transport?: HttpTransport | undefined;
  /** Overrides the client's timeout and retry pause, in ms. */
  timing?: Pick<ClientOptions, 'timeoutMs' | 'retryPauseMs'>;
}

/** The result of a sync. A failure of one account is in that account's result. */
export interface SyncResult {
  users: UserResult[];
  totals: Counts;
  /** Our webhook subscription before the sync, and its repair; absent if there is none, or it was not checked. */
  webhook?: Repair;
}

/**
 * Returns the token that is set.
 * @throws CalendlySyncError `settings`
 */
export function requireToken({ calendlyToken }: SyncOptions['config']): string {
  if (calendlyToken !== null) return calendlyToken;
  throw new CalendlySyncError('settings', 'CALENDLY_TOKEN is not set.', {
    hint:
      'Create a personal access token at https://calendly.com/integrations/api_webhooks ' +
      'and put CALENDLY_TOKEN=… in .env or the environment.\nWithout one: calendly-sync demo',
  });
}

/** Creates the Calendly client of a token; it reports each request as an event. */
export function clientOf(
  options: SyncOptions,
  token: string,
  signal = options.signal,
  renewToken?: ClientOptions['renewToken'],
): CalendlyClient {
  return createCalendlyClient({
    baseUrl: options.config.calendlyApiUrl,
    token,
    renewToken,
    proxies: options.config,
    transport: options.transport,
    signal: signal ?? new AbortController().signal,
    concurrency: options.concurrency,
    onAttempt: (attempt) => options.onEvent?.({ type: 'attempt', attempt }),
    onWait: (wait) => options.onEvent?.({ type: 'waiting', wait }),
    ...options.timing,
  });
}

/** The URI of the meeting that `event` names. @throws CalendlySyncError `usage` */
export function meetingOf({ event, since, until, only, config }: SyncOptions): string | null {
  if (only && (event ?? since ?? until) !== undefined)
    throw new CalendlySyncError('usage', "--only can't be used together with --event, --since or --until.");
  if (event === undefined) return null;
  if (since !== undefined || until !== undefined)
    throw new CalendlySyncError('usage', "--event can't be used together with --since or --until.");
  return eventUri(event, config.calendlyApiUrl);
}

const CALENDLY_API = 'https://api.calendly.com';

/**
 * The URI of a meeting at this Calendly; of a bare id, too.
 * @throws CalendlySyncError `usage`
 */
function eventUri(text: string, calendlyApiUrl: string): string {
  // Calendly's own URIs, whatever base is configured.
  if (/^[\w-]+$/.test(text) && /\d/.test(text)) return `${CALENDLY_API}/scheduled_events/${text}`;
  const url = URL.canParse(text) ? new URL(text) : null;
  const ours = [CALENDLY_API, new URL(calendlyApiUrl).origin];
  if (url && ours.includes(url.origin) && /\/scheduled_events\/[^/]+$/.test(url.pathname)) return text;
  throw new CalendlySyncError('usage', `--event: "${text}" is not the URI of a scheduled event.`, {
    hint: `Expected ${CALENDLY_API}/scheduled_events/ID, or the ID alone.`,
  });
}
