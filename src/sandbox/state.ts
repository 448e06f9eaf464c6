/** Everything that one sandbox knows. The endpoints and the operations work on it; it knows no HTTP. */
import { createDeliveries, type Deliveries } from './deliveries.js';
import { createEventTypes, type EventType } from './event-types.js';
import { createFaults, type Faults } from './faults.js';
import { generateMeetings } from './generate.js';
import { createMeetings, type Meetings } from './meetings.js';
import { createPageTokens, type PageTokens } from './paging.js';
import { createOrganization, type Host, type Organization } from './people.js';
import { type Random, randomOf } from './random.js';
import { createRateLimit, type RateLimit } from './rate-limit.js';
import { createRequestLog, type RequestLog } from './request-log.js';
import { createSubscriptions, type Subscriptions } from './subscriptions.js';
import { createClock, DAY, type SandboxClock } from './time.js';
import { createTokens, type Tokens } from './tokens.js';

/** What a sandbox is made of; everything has a default. */
export interface StateOptions {
  /** Generated meetings of each host; 250 by default. Host 0 sees exactly so many. 100,000 in all fit in memory. */
  events?: number;
  /** Users of the organization; 3 by default. */
  hosts?: number;
  seed?: number;
  /** Requests per minute and user; 500 by default. */
  rateLimit?: number;
  /** The first time of the sandbox's clock; the real time by default. Meetings are spread around this day. */
  now?: Date;
  /** Lifetime of a page token in ms; 5 minutes by default. */
  pageTokenLifetime?: number;
  /** Leaves out meetings that start exactly at `min_start_time` or `max_start_time`. */
  exclusiveBounds?: boolean;
}

export interface SandboxState {
  seed: number;
  organization: Organization;
  eventTypes: readonly EventType[];
  meetings: Meetings;
  tokens: Tokens;
  rateLimit: RateLimit;
  /** `/oauth/token` has a limit of its own. */
  oauthRateLimit: RateLimit;
  faults: Faults;
  subscriptions: Subscriptions;
  deliveries: Deliveries;
  log: RequestLog;
  clock: SandboxClock;
  pages: PageTokens;
  exclusiveBounds: boolean;
  /** How changes move `updated_at`. */
  timestamps: 'normal' | 'frozen' | 'backwards';
  /** Chance for what commands leave open. */
  random: Random;
  /** How many ids commands have used. */
  issuedIds: number;
}

const OAUTH_REQUESTS_PER_MINUTE = 8;

export function createState(options: StateOptions = {}): SandboxState {
  const { seed = 1, events: each = 250, hosts: size = 3 } = options;
  const clock = createClock(options.now);
  const organization = createOrganization(seed, size);
  const { hosts } = organization;
  const eventTypes = createEventTypes(seed, hosts);
  const today = Math.floor(clock.now() / DAY) * DAY;
  const subscriptions = createSubscriptions(seed, clock.stamp);
  return {
    seed,
    organization,
    eventTypes,
    meetings: createMeetings(generateMeetings({ seed, each, hosts, eventTypes, today })),
    tokens: createTokens(seed, hosts, clock.now),
    rateLimit: createRateLimit(options.rateLimit ?? 500, clock.now),
    oauthRateLimit: createRateLimit(OAUTH_REQUESTS_PER_MINUTE, clock.now),
    faults: createFaults(seed),
    subscriptions,
    deliveries: createDeliveries(subscriptions, clock),
    log: createRequestLog(),
    clock,
    pages: createPageTokens(seed, (options.pageTokenLifetime ?? 300_000) * 1_000, clock.now),
    exclusiveBounds: options.exclusiveBounds ?? false,
    timestamps: 'normal',
    random: randomOf(seed, 701),
    issuedIds: 0,
  };
}

/** The host with this user URI. */
export function hostByUri({ organization }: SandboxState, uri: string): Host | undefined {
  return organization.hosts.find(({ user }) => user.uri === uri);
}
