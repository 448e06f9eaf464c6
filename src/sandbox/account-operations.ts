/** What can be done to the sandbox itself: faults, tokens, clock, rate limit, webhooks, log. Knows no HTTP. */
import { z } from 'zod';
import { faultFields } from './faults.js';
import { host, hostNamed, InvalidCommand, operation } from './operation.js';
import type { SandboxState } from './state.js';
import { formatInstant, parseDuration } from './time.js';

const readClock = ({ clock }: SandboxState) => ({ now: formatInstant(clock.now()) });

export const accountOperations = {
  fail: operation('POST fail', 'makes some of the next requests go wrong', faultFields, ({ faults }, fault) =>
    faults.add(fault),
  ),
  faults: operation('GET faults', 'the faults that may still occur', {}, ({ faults }) => faults.active()),
  clearFaults: operation('DELETE faults', 'ends all faults', {}, ({ faults }) => faults.clear()),
  grant: operation(
    'POST grant',
    'creates a personal token, an OAuth pair and a code that /oauth/token takes once',
    { host: host.default(0), scopes: z.array(z.string()).nullable().default(null) },
    (state, { host: name, scopes }) => state.tokens.grant(hostNamed(state, name), scopes),
  ),
  revoke: operation(
    'POST revoke',
    'ends a token, or all tokens of a host; "how" is revoked or expired',
    {
      token: z.string().optional(),
      host: host.optional(),
      how: z.enum(['revoked', 'expired']).default('revoked'),
    },
    (state, { token, host: name, how }) => {
      const which = token ?? (name === undefined ? undefined : hostNamed(state, name));
      const isOne = (token === undefined) !== (name === undefined);
      if (which === undefined || !isOne) throw new InvalidCommand('Name a token or a host');
      const ended = state.tokens.end(which, how);
      if (ended === 0) throw new InvalidCommand('There is no such token');
      return { ended };
    },
  ),
  setRateLimit: operation(
    'POST rate-limit',
    'changes the requests per minute and user',
    { limit: z.int().positive() },
    ({ rateLimit }, { limit }) => ({ limit: rateLimit.setLimit(limit) }),
  ),
  advance: operation(
    'POST advance',
    'moves the clock forward: page tokens go stale, access tokens expire',
    { by: z.string() },
    (state, { by }) => {
      const distance = parseDuration(by);
      if (distance === null) {
        throw new InvalidCommand(`"${by}" is not a valid duration; write 90s, 30m, 36h or 30d`);
      }
      state.clock.advance(distance);
      return readClock(state);
    },
  ),
  clock: operation('GET clock', 'the time of the clock', {}, readClock),
  setTimestamps: operation(
    'POST timestamps',
    'how later changes move updated_at: normal, frozen or backwards',
    { updated_at: z.enum(['normal', 'frozen', 'backwards']) },
    (state, { updated_at }) => {
      state.timestamps = updated_at;
      return { updated_at };
    },
  ),
  setWebhooks: operation(
    'POST webhooks',
    'how webhooks are sent: retries 1000 times sooner (0.001), digits of the envelope (0)',
    { retry_scale: z.number().positive().optional(), created_at_digits: z.int().min(0).max(6).optional() },
    ({ webhooks }, command) => ({ ...Object.assign(webhooks.settings, command) }),
  ),
  deliveries: operation('GET deliveries', 'the webhooks sent so far, with each attempt', {}, ({ webhooks }) =>
    webhooks.deliveries(),
  ),
  redeliver: operation(
    'POST redeliver',
    'sends a webhook once more',
    { delivery: z.int().positive() },
    ({ webhooks }, { delivery }) => {
      if (webhooks.redeliver(delivery)) return { delivery };
      throw new InvalidCommand(`There is no delivery ${delivery} to repeat`);
    },
  ),
  disableSubscription: operation(
    'POST disable-subscription',
    'disables a subscription, as a day of failed deliveries does',
    { subscription: z.string() },
    ({ webhooks }, { subscription: uri }) => {
      const subscription = webhooks.find(uri);
      if (!subscription) throw new InvalidCommand(`There is no subscription ${uri}`);
      return { ...webhooks.disable(subscription) };
    },
  ),
  requests: operation('GET requests', 'the log of requests', {}, ({ log }) => log.read()),
  resetLog: operation('DELETE requests', 'empties the log of requests', {}, ({ log }) => log.reset()),
};
