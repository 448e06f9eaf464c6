/** Everything that one sandbox knows. The endpoints and the operations work on it; it knows no HTTP. */
import { createDirectory } from './directory.js';
import { createFaults } from './faults.js';
import { createMeetings } from './meetings.js';
import { createOrganization } from './organization.js';
import { createPages } from './paging.js';
import { randomOf } from './random.js';
import { createRateLimit, createRequestLog } from './requests.js';
import { createClock } from './time.js';
import { createTokens } from './tokens.js';
import { createWebhooks } from './webhooks.js';

/** What a sandbox is made of; everything has a default. */
export interface StateOptions {
  /** Users of the organization; 3 by default. */
  hosts?: number;
  seed?: number;
  /** Requests per minute and user; 500 by default. */
  rateLimit?: number;
  /** The first time of the sandbox's clock; the real time by default. Meetings are spread around this day. */
  now?: Date;
}

export type State = ReturnType<typeof createState>;

/** A sandbox without meetings. */
export function createState(options: StateOptions = {}) {
  const { seed = 1 } = options;
  const clock = createClock(options.now);
  /** Chance for everything that nobody asks for. */
  const random = randomOf(seed);
  const organization = createOrganization(random, options.hosts ?? 3);
  const settings = {
    rate_limit: options.rateLimit ?? 500,
    /** How changes move `updated_at`. */
    updated_at: 'normal' as 'normal' | 'frozen' | 'backwards',
    /** Below 1, webhooks are retried and given up that much sooner than in reality. */
    retry_scale: 1,
    /** Digits of a webhook's own time. Calendly sends whole seconds, which may precede the change. */
    created_at_digits: 0,
  };
  return {
    clock,
    random,
    organization,
    settings,
    meetings: createMeetings(),
    directory: createDirectory(randomOf(seed + 2), organization.uri, organization.hosts),
    tokens: createTokens(random, organization.hosts, clock.now),
    rateLimit: createRateLimit(() => settings.rate_limit, clock.now),
    faults: createFaults(randomOf(seed + 1)),
    webhooks: createWebhooks(random, clock, settings),
    log: createRequestLog(),
    pages: createPages(clock.now),
  };
}
