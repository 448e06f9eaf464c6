/**
 * The orders that the control takes, as schemas: what a caller writes with curl or in a test, checked and with its
 * defaults filled in.
 */
import { z } from 'zod';

/** A host: its number, e-mail or URI. */
const host = z.union([z.int().nonnegative(), z.string()]);
/** An event: its URI or id. */
const event = z.string().min(1);
/** An invitee: URI, id, or an e-mail within the event. */
const invitee = z.string().min(1);
/** A start: `+36h`, `-2d` (from now) or a UTC time. */
const start = z.string().min(1);

/** Somebody who books; what is left out is made up. */
const guestSchema = z.strictObject({
  email: z.string().optional(),
  name: z.string().nullable().optional(),
  first_name: z.string().nullable().optional(),
  last_name: z.string().nullable().optional(),
  timezone: z.string().nullable().optional(),
  questions_and_answers: z
    .array(z.strictObject({ question: z.string(), answer: z.string(), position: z.int() }))
    .optional(),
  tracking: z.record(z.string(), z.string().nullable()).optional(),
  payment: z.looseObject({ amount: z.union([z.number(), z.string()]) }).optional(),
});

const by = z.enum(['host', 'invitee']);
const reason = z.string().nullable().default(null);

export const orderSchemas = {
  book: z.strictObject({
    host: host.default(0),
    /** Further hosts of the same event. */
    with: z.array(host).default([]),
    start: start.default('+24h'),
    minutes: z.int().positive().default(30),
    name: z.string().nullable().optional(),
    /** How many, or who; 1 when absent. */
    invitees: z.union([z.int().nonnegative(), z.array(guestSchema)]).default(1),
    /** Places of a group event; a group is also what has several invitees. */
    limit: z.int().positive().optional(),
    /** A location as the API shows it, one of its types, or null for none. */
    location: z
      .union([z.looseObject({ type: z.string() }), z.string()])
      .nullable()
      .optional(),
    guests: z.array(z.string()).default([]),
    /** When it was booked, if not now. */
    created: start.optional(),
  }),
  cancel: z.strictObject({ event, by: by.default('invitee'), reason }),
  reschedule: z.strictObject({
    event,
    /** Of a group event, only this invitee moves. */
    invitee: invitee.optional(),
    start: start.default('+48h'),
    by: by.default('invitee'),
    reason,
  }),
  join: z.strictObject({
    event,
    invitee: guestSchema.default({}),
    /** Whether the event's `updated_at` moves; Calendly does not say. */
    touch: z.boolean().default(false),
  }),
  leave: z.strictObject({
    event,
    /** The last active one when absent. */
    invitee: invitee.optional(),
    reason,
    touch: z.boolean().default(false),
  }),
  noShow: z.strictObject({
    event,
    /** All active ones when absent. */
    invitee: invitee.optional(),
    marked: z.boolean().default(true),
  }),
  edit: z.strictObject({
    event,
    /** Changes this invitee instead of the event. */
    invitee: invitee.optional(),
    /** Fields and their new values. */
    set: z.record(z.string(), z.unknown()).default({}),
    /** Fields to take away. */
    unset: z.array(z.string()).default([]),
    /** Whether `updated_at` moves. */
    touch: z.boolean().default(true),
  }),
  /** The event answers 404 and is not listed any more. */
  delete: z.strictObject({ event }),
  /** The event answers 403 and is not listed any more. */
  loseAccess: z.strictObject({ event }),
  /** Undoes `delete` and `loseAccess`. */
  restore: z.strictObject({ event }),
} as const;

type Orders = typeof orderSchemas;
type OrderName = keyof Orders;
/** What a caller writes. */
export type OrderInput<Name extends OrderName> = z.input<Orders[Name]>;
/** What the operation gets. */
export type Order<Name extends OrderName> = z.output<Orders[Name]>;
export type GuestOrder = z.output<typeof guestSchema>;

/** An order that cannot be carried out: something it names does not exist. */
export class OrderError extends Error {
  override readonly name = 'OrderError';
}
