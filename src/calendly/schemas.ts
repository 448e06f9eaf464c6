/**
 * The shapes of Calendly's API. The types are inferred from the schemas. Unknown fields are kept, enums are open, and
 * every field but the URI may be missing or invalid: an invalid value becomes null and is reported; `raw` keeps it.
 */
import { z } from 'zod';

// Calendly writes ISO-8601 in UTC with 0 to 6 fraction digits. Kept as text: a JS Date would lose the microseconds.
const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})$/;
const timestamp = z
  .string()
  .refine((text) => TIMESTAMP.test(text) && !Number.isNaN(Date.parse(text)), 'not a timestamp')
  .nullish();
const text = z.string().nullish();
const flag = z.boolean().nullish();
const count = z.int().min(0).max(2_147_483_647).nullish();
const record = z.record(z.string(), z.unknown()).nullish();

const cancellation = z
  .looseObject({ canceled_by: text, reason: text, canceler_type: text, created_at: timestamp })
  .nullish();

const eventShape = {
  uri: z.string().min(1),
  name: text,
  status: text,
  start_time: timestamp,
  end_time: timestamp,
  event_type: text,
  location: record,
  invitees_counter: z.looseObject({ total: count, active: count, limit: count }).nullish(),
  created_at: timestamp,
  updated_at: timestamp,
  event_memberships: z.array(z.looseObject({ user: text, user_email: text, user_name: text })).nullish(),
  event_guests: z.array(z.looseObject({ email: text })).nullish(),
  cancellation,
};

const inviteeShape = {
  uri: z.string().min(1),
  email: text,
  name: text,
  first_name: text,
  last_name: text,
  status: text,
  timezone: text,
  event: text,
  created_at: timestamp,
  updated_at: timestamp,
  questions_and_answers: z.array(z.unknown()).nullish(),
  tracking: record,
  rescheduled: flag,
  old_invitee: text,
  new_invitee: text,
  cancellation,
  payment: record,
  no_show: z.looseObject({ uri: text, created_at: timestamp }).nullish(),
};

const userShape = {
  uri: z.string().min(1),
  name: text,
  email: text,
  timezone: text,
  current_organization: text,
};

/** A page of any listing. An empty or short page may still have a next one; the end is `next_page: null`. */
export const pageSchema = z.looseObject({
  collection: z.array(z.unknown()),
  pagination: z.looseObject({ next_page: z.string().nullish() }),
});

/** The envelope of a single resource. */
export const resourceSchema = z.looseObject({ resource: z.record(z.string(), z.unknown()) });

const eventSchema = z.looseObject(eventShape);
const inviteeSchema = z.looseObject(inviteeShape);
const userSchema = z.looseObject(userShape);

export type CalendlyEvent = z.infer<typeof eventSchema>;
export type CalendlyInvitee = z.infer<typeof inviteeSchema>;
export type CalendlyUser = z.infer<typeof userSchema>;

/** One resource: the checked fields, the raw JSON, and the fields that were invalid. */
export interface Parsed<T> {
  value: T;
  raw: Record<string, unknown>;
  /** `field: the problem`, one for each field that could not be used. */
  issues: string[];
}

/** Parses an event; null if it has no URI. */
export const parseEvent = parserOf(eventSchema, eventShape);
/** Parses an invitee; null if it has no URI. */
export const parseInvitee = parserOf(inviteeSchema, inviteeShape);
/** Parses a user; null if it has no URI. */
export const parseUser = parserOf(userSchema, userShape);

function parserOf<T>(strict: z.ZodType<T>, shape: Record<string, z.ZodType>) {
  const lenient = z.looseObject(
    Object.fromEntries(
      Object.entries(shape).map(([key, schema]) => [key, key === 'uri' ? schema : schema.catch(null)]),
    ),
  ) as unknown as z.ZodType<T>;
  return (json: unknown): Parsed<T> | null => {
    const raw = json as Record<string, unknown>;
    const result = strict.safeParse(json);
    if (result.success) return { value: result.data, raw, issues: [] };
    const value = lenient.safeParse(json).data;
    if (value === undefined) return null;
    return {
      value,
      raw,
      issues: result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`),
    };
  };
}
