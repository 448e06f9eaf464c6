/** What can be done to the sandbox itself: faults, tokens, clock, rate limit, webhooks, log. Knows no HTTP. */
import { z } from 'zod';
import { faultSchema } from './faults.js';
import { host, hostNamed, InvalidCommand, nothing, operation } from './operation.js';
import { formatInstant, parseDuration } from './time.js';

export const accountOperations = {
  fail: operation({
    summary: 'makes some of the next requests go wrong',
    schema: faultSchema,
    run: ({ faults }, fault) => faults.add(fault),
  }),
  faults: operation({
    summary: 'the faults that may still occur',
    schema: nothing,
    route: 'GET faults',
    key: 'faults',
    run: ({ faults }) => faults.active(),
  }),
  clearFaults: operation({
    summary: 'ends all faults',
    schema: nothing,
    route: 'DELETE faults',
    key: 'faults',
    run({ faults }) {
      faults.clear();
      return faults.active();
    },
  }),
  grant: operation({
    summary: 'creates a personal token, an OAuth pair and a code that /oauth/token takes once',
    schema: z.strictObject({ host: host.default(0), scopes: z.array(z.string()).nullable().default(null) }),
    run(state, { host: name, scopes }) {
      const owner = hostNamed(state, name);
      const { tokens } = state;
      const [token, pair] = [tokens.personal(owner, scopes), tokens.pair(owner, scopes)];
      return { token, pair, code: tokens.code(owner, scopes) };
    },
  }),
  revoke: operation({
    summary: 'ends a token, or all tokens of a host; "how" is revoked or expired',
    schema: z.strictObject({
      token: z.string().optional(),
      host: host.optional(),
      how: z.enum(['revoked', 'expired']).default('revoked'),
    }),
    run(state, { token, host: name, how }) {
      const { tokens } = state;
      if ((token === undefined) === (name === undefined)) throw new InvalidCommand('Name a token or a host');
      if (token === undefined) return { ended: tokens.endAll(hostNamed(state, name ?? 0), how) };
      if (!tokens.end(token, how)) throw new InvalidCommand('There is no such token');
      return { ended: 1 };
    },
  }),
  setRateLimit: operation({
    summary: 'changes the requests per minute and user',
    schema: z.strictObject({ limit: z.int().positive() }),
    route: 'POST rate-limit',
    run({ rateLimit }, { limit }) {
      rateLimit.setLimit(limit);
      return { limit };
    },
  }),
  advance: operation({
    summary: 'moves the clock forward: page tokens go stale, access tokens expire',
    schema: z.strictObject({ by: z.string() }),
    run({ clock }, { by }) {
      const distance = parseDuration(by);
      if (distance === null) {
        throw new InvalidCommand(`"${by}" is not a valid duration; write 90s, 30m, 36h or 30d`);
      }
      clock.advance(distance);
      return { now: formatInstant(clock.now()) };
    },
  }),
  clock: operation({
    summary: 'the time of the clock',
    schema: nothing,
    route: 'GET clock',
    run: ({ clock }) => ({ now: formatInstant(clock.now()) }),
  }),
  setTimestamps: operation({
    summary: 'how later changes move updated_at: normal, frozen or backwards',
    schema: z.strictObject({ updated_at: z.enum(['normal', 'frozen', 'backwards']) }),
    route: 'POST timestamps',
    run(state, { updated_at }) {
      state.timestamps = updated_at;
      return { updated_at };
    },
  }),
  setWebhooks: operation({
    summary: 'how webhooks are sent: retries 1000 times sooner (0.001), digits of the envelope (0)',
    schema: z.strictObject({
      retry_scale: z.number().positive().optional(),
      created_at_digits: z.int().min(0).max(6).optional(),
    }),
    route: 'POST webhooks',
    run: ({ deliveries: { settings } }, command) => ({ ...Object.assign(settings, command) }),
  }),
  deliveries: operation({
    summary: 'the webhooks sent so far, with each attempt',
    schema: nothing,
    route: 'GET deliveries',
    key: 'deliveries',
    run: ({ deliveries }) => deliveries.list(),
  }),
  redeliver: operation({
    summary: 'sends a webhook once more',
    schema: z.strictObject({ delivery: z.int().positive() }),
    run({ deliveries }, { delivery }) {
      if (!deliveries.repeat(delivery))
        throw new InvalidCommand(`There is no delivery ${delivery} to repeat`);
      return { delivery };
    },
  }),
  disableSubscription: operation({
    summary: 'disables a subscription, as a day of failed deliveries does',
    schema: z.strictObject({ subscription: z.string() }),
    run({ subscriptions }, { subscription: uri }) {
      const subscription = subscriptions.find(uri);
      if (!subscription) throw new InvalidCommand(`There is no subscription ${uri}`);
      subscriptions.disable(subscription);
      return structuredClone(subscription.resource);
    },
  }),
  requests: operation({
    summary: 'the log of requests',
    schema: nothing,
    route: 'GET requests',
    run: ({ log }) => ({ total: log.total(), requests: log.entries() }),
  }),
  resetLog: operation({
    summary: 'empties the log of requests',
    schema: nothing,
    route: 'DELETE requests',
    run({ log }) {
      log.reset();
      return { total: log.total(), requests: log.entries() };
    },
  }),
};
