/** What can be done to the sandbox itself: settings, faults, tokens, clock, webhooks, log. Knows no HTTP. */
import { z } from 'zod';
import { faultFields } from './faults.js';
import { host, hostNamed, InvalidCommand, operation } from './operation.js';
import { formatInstant, parseDuration } from './time.js';

/** Fields of the state's settings. */
const settings = {
  rate_limit: z.int().positive().optional(),
  updated_at: z.enum(['normal', 'frozen', 'backwards']).optional(),
  retry_scale: z.number().positive().optional(),
  created_at_digits: z.int().min(0).max(6).optional(),
};

export const accountOperations = {
  set: operation(
    'changes settings: requests per minute, how updated_at moves (normal, frozen, backwards), webhooks',
    settings,
    (state, command) => ({ ...Object.assign(state.settings, command) }),
  ),
  fail: operation('makes some of the next requests go wrong', faultFields, ({ faults, meetings }, fault) =>
    faults.add(fault, meetings),
  ),
  clearFaults: operation('ends all faults', {}, ({ faults }) => faults.clear()),
  grant: operation(
    'creates a personal token, an OAuth pair and a code that /oauth/token takes once',
    { host: host.default(0), scopes: z.array(z.string()).nullable().default(null) },
    (state, { host: name, scopes }) => state.tokens.grant(hostNamed(state, name), scopes),
  ),
  revoke: operation(
    'ends a token, or all tokens of a host; "how" is revoked or expired',
    {
      token: z.string().optional(),
      host: host.optional(),
      how: z.enum(['revoked', 'expired']).default('revoked'),
    },
    (state, { token, host: name, how }) => {
      const which = token ?? (name === undefined ? '' : hostNamed(state, name));
      const ended = state.tokens.end(which, how);
      if (ended === 0) throw new InvalidCommand('There is no such token');
      return { ended };
    },
  ),
  clock: operation(
    'the time; "advance" moves it first: page tokens go stale, access tokens expire',
    { advance: z.string().default('0s') },
    ({ clock }, { advance }) => {
      const distance = parseDuration(advance);
      if (distance === null)
        throw new InvalidCommand(`"${advance}" is not a valid duration; write 90s, 30m or 36h`);
      clock.advance(distance);
      return { now: formatInstant(clock.now()) };
    },
  ),
  deliveries: operation('the webhooks sent so far, with each attempt', {}, ({ webhooks }) =>
    webhooks.deliveries(),
  ),
  disableSubscription: operation(
    'disables a subscription, as a day of failed deliveries does',
    { subscription: z.string() },
    ({ webhooks }, { subscription: uri }) => {
      const subscription = webhooks.find(uri);
      if (!subscription) throw new InvalidCommand(`There is no subscription ${uri}`);
      return { ...webhooks.disable(subscription) };
    },
  ),
  requests: operation('the log of requests', {}, ({ log }) => log.read()),
  resetLog: operation('empties the log of requests', {}, ({ log }) => log.reset()),
};
