/** Everything that one sandbox knows, put together from its options. No HTTP: the routes and the control work on this. */

import { type Clock, createClock } from './clock.js';
import { type Catalog, createCatalog } from './event-types.js';
import { createFaults, type Faults } from './faults.js';
import { createGenerated } from './generated.js';
import { DAY } from './microseconds.js';
import { createPageTokens, type PageTokens } from './paging.js';
import { createOrganization, type Host, type Organization } from './people.js';
import { type Allowance, createAllowance } from './rate-limit.js';
import { createRequestLog, type RequestLog } from './request-log.js';
import { createStore, type Store } from './store.js';
import { createSubscriptions, type Subscriptions } from './subscriptions.js';
import { createTokens, type Tokens } from './tokens.js';

/** What a world is made of. */
export interface WorldOptions {
  /** Generated meetings of each host; 0 for empty accounts. */
  events: number;
  /** Users of the organization, at least 1. */
  hosts: number;
  seed: number;
  /** Where the clock begins; the present when absent. Meetings are spread around this day. */
  now?: Date | undefined;
  /** Requests per minute and user. */
  rateLimit: number;
  /** How long a page token can be used. */
  pageTokenLifetimeMs: number;
  /** Leaves out meetings that start exactly at `min_start_time` or `max_start_time`. */
  exclusiveBounds: boolean;
}

export interface World {
  organization: Organization;
  catalog: Catalog;
  store: Store;
  tokens: Tokens;
  allowance: Allowance;
  /** `/oauth/token` has an allowance of its own. */
  oauthAllowance: Allowance;
  faults: Faults;
  subscriptions: Subscriptions;
  log: RequestLog;
  clock: Clock;
  pages: PageTokens;
  exclusiveBounds: boolean;
}

/** Token requests per minute and user. */
const OAUTH_LIMIT = 8;

export function createWorld(options: WorldOptions): World {
  const { seed, events: each, hosts } = options;
  const clock = createClock(options.now);
  const organization = createOrganization(seed, hosts);
  const catalog = createCatalog(seed, organization.hosts);
  const today = Math.floor(clock.now() / DAY) * DAY;
  const generated = createGenerated({ seed, each, hosts, today }, organization.hosts, catalog);
  return {
    organization,
    catalog,
    store: createStore(generated),
    tokens: createTokens(seed, organization.hosts, clock.now),
    allowance: createAllowance(options.rateLimit, clock.now),
    oauthAllowance: createAllowance(OAUTH_LIMIT, clock.now),
    faults: createFaults(seed),
    subscriptions: createSubscriptions(seed, clock.stamp),
    log: createRequestLog(),
    clock,
    pages: createPageTokens(seed, options.pageTokenLifetimeMs, clock.now),
    exclusiveBounds: options.exclusiveBounds,
  };
}

/** The host with this user URI. */
export function hostByUri({ organization }: World, uri: string): Host | null {
  return organization.hosts.find(({ user }) => user.uri === uri) ?? null;
}
