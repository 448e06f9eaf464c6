/** Everything that one sandbox knows. The endpoints and the operations work on it; it knows no HTTP. */
import { createFaults } from './faults.js';
import { generateMeetings } from './generate.js';
import { createMeetings } from './meetings.js';
import { createOrganization } from './organization.js';
import { createPageTokens } from './paging.js';
import { randomOf } from './random.js';
import { createRateLimit, createRequestLog } from './requests.js';
import { createClock, DAY } from './time.js';
import { createTokens } from './tokens.js';
import { createWebhooks } from './webhooks.js';

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

export type SandboxState = ReturnType<typeof createState>;

const OAUTH_REQUESTS_PER_MINUTE = 8;

export function createState(options: StateOptions = {}) {
  const { seed = 1, events: each = 250, pageTokenLifetime = 300_000 } = options;
  const clock = createClock(options.now);
  const organization = createOrganization(seed, options.hosts ?? 3);
  const today = Math.floor(clock.now() / DAY) * DAY;
  return {
    seed,
    clock,
    organization,
    meetings: createMeetings(generateMeetings({ seed, each, today, ...organization })),
    tokens: createTokens(seed, organization.hosts, clock.now),
    rateLimit: createRateLimit(options.rateLimit ?? 500, clock.now),
    /** `/oauth/token` has a limit of its own. */
    oauthRateLimit: createRateLimit(OAUTH_REQUESTS_PER_MINUTE, clock.now),
    faults: createFaults(seed),
    webhooks: createWebhooks(seed, clock),
    log: createRequestLog(),
    pages: createPageTokens(seed, pageTokenLifetime * 1_000, clock.now),
    exclusiveBounds: options.exclusiveBounds ?? false,
    /** How changes move `updated_at`. */
    timestamps: 'normal' as 'normal' | 'frozen' | 'backwards',
    /** Chance for what commands leave open. */
    random: randomOf(seed, 701),
    /** How many ids commands have used. */
    issuedIds: 0,
  };
}
