/**
 * The endpoints of Calendly's API that this tool uses. Knows no database.
 * Resource URIs are identifiers: a resource is requested from the configured base, whatever host its URI names.
 */
import { systemClock } from '../clock.js';
import { isAccessLost, statusOf } from './errors.js';
import { createHttp, type HttpOptions } from './http.js';
import { createPages, type Page, type Pages } from './pages.js';
import { resourceOf, resourcePath } from './resource.js';
import {
  type CalendlyEvent,
  type CalendlyInvitee,
  type CalendlyUser,
  type Parsed,
  parseEvent,
  parseInvitee,
  parseUser,
} from './schemas.js';
import { createSubscriptionsApi, type SubscriptionsApi } from './subscriptions.js';
import { createThrottle } from './throttle.js';
import { queryTime } from './timestamps.js';

export interface ClientOptions extends HttpOptions {
  /** Max requests in flight. */
  concurrency?: number | undefined;
}

/** One page of the event listing, in order of start. */
export type EventPage = Page<Parsed<CalendlyEvent>>;

/** A range of start times, UTC, in ms since 1970. */
export interface Window {
  from: number;
  to: number;
}

/** One invitee of an event. */
export interface ListedInvitee extends Omit<Parsed<CalendlyInvitee>, 'value'> {
  uri: string;
}

/** The result of requesting one event. */
export type EventAnswer = { found: Parsed<CalendlyEvent> } | { gone: true } | { accessLost: true };

/** All methods throw CalendlySyncError `calendly_*`, or the signal's reason. */
export interface CalendlyClient {
  /** The user that the token belongs to. */
  me(): Promise<Parsed<CalendlyUser>>;
  /**
   * All events of a user in a window, of both statuses, sorted by start, pages back to back. Rows may come twice.
   * Ends normally only when the listing was complete.
   */
  listEvents(userUri: string, window: Window): AsyncGenerator<EventPage, void, void>;
  /** One event. Only Calendly's own 404 and 403 count as gone and access lost. */
  event(uri: string): Promise<EventAnswer>;
  /**
   * All invitees of an event, every page.
   * @param beforeMore awaited once, before the second page
   */
  invitees(
    eventUri: string,
    beforeMore?: () => Promise<void>,
  ): Promise<{ invitees: ListedInvitee[]; unreadable: number }>;
  /** All pages of another listing. */
  list: Pages;
  /** Another resource by its URI. */
  resource<T>(uri: string, parse: (raw: unknown) => T | null): Promise<T>;
  subscriptions: SubscriptionsApi;
  /** Requests and retries so far, and the time spent waiting for the rate limit in ms. */
  counters(): { requests: number; retries: number; rateLimitWaitMs: number };
  /** When requests continue, in ms since 1970, while they wait for the rate limit; else null. */
  waitingUntil(): number | null;
  /** What the last responses said of the rate limit; null if they said nothing. `resetAt` in ms since 1970. */
  rateLimit(): { limit: number; remaining: number; resetAt: number } | null;
}

/** Creates the client of one account. All its requests share one throttle. */
export function createCalendlyClient(options: ClientOptions): CalendlyClient {
  const { clock = systemClock, concurrency, onWait } = options;
  const onHold = (ms: number) => onWait?.({ ms, outcome: null });
  const throttle = createThrottle({ clock, concurrency, onHold });
  const { send, counters } = createHttp(options, throttle);
  const pages = createPages(send, options.baseUrl);
  const get = <T>(path: string, parse: (raw: unknown) => T | null) =>
    send('GET', path, resourceOf(path, parse));

  async function* listEvents(userUri: string, window: Window): AsyncGenerator<EventPage, void, void> {
    let { from } = window;
    const query = () => ({
      user: userUri,
      min_start_time: queryTime(from),
      max_start_time: queryTime(window.to),
      sort: 'start_time:asc',
    });
    for await (const page of pages('/scheduled_events', query, parseEvent)) {
      // A restart continues a second before the last start seen: correct whether the bound is inclusive or exclusive.
      const starts = page.rows.map(({ value }) => Date.parse(value.start_time ?? '') || 0);
      from = Math.max(from, Math.max(...starts) - 1_000);
      yield page;
    }
  }

  async function invitees(eventUri: string, beforeMore?: () => Promise<void>) {
    const byUri = new Map<string, ListedInvitee>();
    let unreadable = 0;
    let once = beforeMore;
    const query = () => ({ sort: 'created_at:asc' });
    for await (const page of pages(`${resourcePath(eventUri)}/invitees`, query, parseInvitee)) {
      // Without the parsed copy: an event may have thousands.
      for (const { value, raw, issues } of page.rows) byUri.set(value.uri, { uri: value.uri, raw, issues });
      unreadable += page.unreadable;
      if (!page.last) await once?.();
      once = undefined;
    }
    return { invitees: [...byUri.values()], unreadable };
  }

  async function event(uri: string): Promise<EventAnswer> {
    try {
      return { found: await get(resourcePath(uri), parseEvent) };
    } catch (error) {
      if (statusOf(error) === 404) return { gone: true };
      if (isAccessLost(error)) return { accessLost: true };
      throw error;
    }
  }

  return {
    me: () => get('/users/me', parseUser),
    listEvents,
    event,
    invitees,
    list: pages,
    resource: async (uri, parse) => get(resourcePath(uri), parse),
    subscriptions: createSubscriptionsApi(send, pages),
    counters: () => ({ ...counters, rateLimitWaitMs: Math.round(throttle.waitedMs()) }),
    waitingUntil: throttle.waitingUntil,
    rateLimit() {
      const { knowledge, limit, remaining, resetAt } = throttle.allowance();
      return knowledge === 'known' ? { limit, remaining, resetAt } : null;
    },
  };
}
