/**
 * The typed control of a sandbox: the same operations that the control API offers to curl. Orders are checked here, so
 * that a test and a shell meet the same rules. Knows no HTTP.
 */
import { z } from 'zod';
import { type Agenda, hostNamed, type MeetingView, view } from './bookings.js';
import { OrderError, type OrderInput, orderSchemas } from './commands.js';
import type { Deliveries, Delivery } from './deliveries.js';
import { parseDuration } from './duration.js';
import { type FaultInput, type FaultState, faultSchema } from './faults.js';
import { type Place, placeOf } from './meeting.js';
import { formatInstant } from './microseconds.js';
import type { World } from './state.js';
import type { SubscriptionResource } from './subscriptions.js';
import type { TokenPair } from './tokens.js';

const host = z.union([z.int().nonnegative(), z.string()]);

const adminSchemas = {
  grant: z.strictObject({ host: host.default(0), scopes: z.array(z.string()).nullable().default(null) }),
  revoke: z
    .strictObject({
      token: z.string().optional(),
      /** Ends all tokens of this host. */
      host: host.optional(),
      how: z.enum(['revoked', 'expired']).default('revoked'),
    })
    .refine(
      ({ token, host: owner }) => (token === undefined) !== (owner === undefined),
      'name a token or a host',
    ),
  advance: z.strictObject({ by: z.string() }),
  webhooks: z.strictObject({
    /** Retries follow each other and are given up so much faster (0.001) or slower. */
    retry_scale: z.number().positive(),
  }),
  redeliver: z.strictObject({ delivery: z.int().positive() }),
  disable: z.strictObject({ subscription: z.string() }),
  rateLimit: z.strictObject({ limit: z.int().positive() }),
};

/** Tokens that `grant` makes: a personal one, an OAuth pair and a code that `/oauth/token` takes once. */
interface Grant {
  token: string;
  pair: TokenPair;
  code: string;
}

/** Everything that can be done to a sandbox. Each throws OrderError for an order that makes no sense. */
export interface Control {
  book(order?: OrderInput<'book'>): MeetingView;
  cancel(order: OrderInput<'cancel'>): MeetingView;
  reschedule(order: OrderInput<'reschedule'>): { old: MeetingView; new: MeetingView };
  join(order: OrderInput<'join'>): MeetingView;
  leave(order: OrderInput<'leave'>): MeetingView;
  noShow(order: OrderInput<'noShow'>): MeetingView;
  edit(order: OrderInput<'edit'>): MeetingView;
  delete(order: OrderInput<'delete'>): MeetingView;
  loseAccess(order: OrderInput<'loseAccess'>): MeetingView;
  restore(order: OrderInput<'restore'>): MeetingView;
  /** Makes some of the next requests go wrong. */
  fail(fault: FaultInput): FaultState;
  faults(): FaultState[];
  clearFaults(): void;
  grant(order?: z.input<typeof adminSchemas.grant>): Grant;
  /** Answers how many tokens were ended. */
  revoke(order: z.input<typeof adminSchemas.revoke>): { ended: number };
  /** Puts the sandbox's clock forward: windows pass, page tokens go stale, access tokens expire. */
  advance(order: z.input<typeof adminSchemas.advance>): { now: string };
  setRateLimit(order: z.input<typeof adminSchemas.rateLimit>): { limit: number };
  /** Webhooks sent so far, with each attempt. */
  deliveries(): Delivery[];
  /** Sends a webhook once more. */
  redeliver(order: z.input<typeof adminSchemas.redeliver>): { delivery: number };
  /** Gives up on a subscription at once, as a day of failed deliveries would. */
  disableSubscription(order: z.input<typeof adminSchemas.disable>): SubscriptionResource;
  setWebhooks(order: z.input<typeof adminSchemas.webhooks>): { retry_scale: number };
  clock(): { now: string };
  /** Every visible meeting in the order of its start, as the API would show it; made one after the other. */
  meetings(): IterableIterator<MeetingView>;
  /** The same as an array. */
  state(): MeetingView[];
}

/** Binds the operations to a world. */
export function createControl(world: World, agenda: Agenda, deliveries: Deliveries): Control {
  const { clock, faults, tokens, allowance } = world;
  function* meetings() {
    let beyond: Place | null = null;
    // In batches that begin again where the last one ended, so that changes in between do no harm.
    for (;;) {
      const batch = [...take(world.store.walk({ hosts: null, beyond }), BATCH)];
      for (const meeting of batch) yield view(meeting);
      const last = batch.at(-1);
      if (!last || batch.length < BATCH) return;
      beyond = placeOf(last);
    }
  }
  const now = () => ({ now: formatInstant(clock.now()) });
  return {
    book: (order = {}) => agenda.book(checked(orderSchemas.book, order)),
    cancel: (order) => agenda.cancel(checked(orderSchemas.cancel, order)),
    reschedule: (order) => agenda.reschedule(checked(orderSchemas.reschedule, order)),
    join: (order) => agenda.join(checked(orderSchemas.join, order)),
    leave: (order) => agenda.leave(checked(orderSchemas.leave, order)),
    noShow: (order) => agenda.noShow(checked(orderSchemas.noShow, order)),
    edit: (order) => agenda.edit(checked(orderSchemas.edit, order)),
    delete: (order) => agenda.setVisibility(checked(orderSchemas.delete, order).event, 'deleted'),
    loseAccess: (order) => agenda.setVisibility(checked(orderSchemas.loseAccess, order).event, 'access_lost'),
    restore: (order) => agenda.setVisibility(checked(orderSchemas.restore, order).event, 'visible'),
    fail: (fault) => faults.add(checked(faultSchema, fault)),
    faults: faults.active,
    clearFaults: faults.clear,
    grant(order = {}) {
      const { host: name, scopes } = checked(adminSchemas.grant, order);
      const owner = hostNamed(world, name);
      return {
        token: tokens.personal(owner, scopes),
        pair: tokens.pair(owner, scopes),
        code: tokens.code(owner, scopes),
      };
    },
    revoke(order) {
      const { token, host: name, how } = checked(adminSchemas.revoke, order);
      if (token === undefined) return { ended: tokens.endAll(hostNamed(world, name ?? 0), how) };
      if (!tokens.end(token, how)) throw new OrderError('There is no such token');
      return { ended: 1 };
    },
    advance(order) {
      const { by } = checked(adminSchemas.advance, order);
      const ms = parseDuration(by);
      if (ms === null) throw new OrderError(`"${by}" is no duration; write 90s, 30m, 36h or 30d`);
      clock.advance(ms);
      return now();
    },
    setRateLimit(order) {
      const { limit } = checked(adminSchemas.rateLimit, order);
      allowance.setLimit(limit);
      return { limit };
    },
    deliveries: deliveries.list,
    redeliver(order) {
      const { delivery } = checked(adminSchemas.redeliver, order);
      if (!deliveries.repeat(delivery)) throw new OrderError(`There is no delivery ${delivery} to repeat`);
      return { delivery };
    },
    disableSubscription(order) {
      const { subscription: uri } = checked(adminSchemas.disable, order);
      const subscription = world.subscriptions.find(uri);
      if (!subscription) throw new OrderError(`There is no subscription ${uri}`);
      world.subscriptions.disable(subscription);
      return structuredClone(subscription.resource);
    },
    setWebhooks(order) {
      const { retry_scale } = checked(adminSchemas.webhooks, order);
      deliveries.setRetryScale(retry_scale);
      return { retry_scale };
    },
    clock: now,
    meetings,
    state: () => [...meetings()],
  };
}

const BATCH = 200;

function* take<Item>(items: Iterable<Item>, count: number) {
  let left = count;
  for (const item of items) {
    yield item;
    if (--left === 0) return;
  }
}

function checked<Schema extends z.ZodType>(schema: Schema, order: unknown): z.output<Schema> {
  const result = schema.safeParse(order);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) =>
    [path.join('.'), message].filter(Boolean).join(': '),
  );
  throw new OrderError(problems.join('; '));
}
