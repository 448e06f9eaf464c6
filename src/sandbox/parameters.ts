/** Query parameters and bodies of the API, as Calendly checks them: one answer names everything that is wrong. */
import { z } from 'zod';
import { CANONICAL } from './organization.js';
import { parseInstant } from './time.js';
import { WEBHOOK_EVENTS } from './webhooks.js';

/** The URI of a resource of this kind. */
const uri = (kind: string) =>
  z.string('is missing').regex(new RegExp(`^${CANONICAL}/${kind}/[A-Za-z0-9-]+$`), 'is not a valid URI');
const user = uri('users');
const organization = uri('organizations');
const email = z
  .string()
  .regex(/^[^@\s]+@[^@\s]+$/, 'is not a valid email')
  .transform((text) => text.toLowerCase());
/** A UTC time with 0 to 6 fraction digits, in microseconds. */
const instant = z.string().transform((text, context) => {
  const at = parseInstant(text);
  if (at === null) context.issues.push({ code: 'custom', message: 'is not a valid UTC time', input: text });
  return at ?? 0;
});
const status = z.enum(['active', 'canceled']).optional();
const order = (field: string) => z.enum([`${field}:asc`, `${field}:desc`]).optional();
/** Rows of a page. */
const count = z
  .string()
  .regex(/^([1-9]\d?|100)$/, 'must be a whole number from 1 to 100')
  .transform(Number)
  .default(20);
const scope = z.enum(['organization', 'user'], 'is missing');
const hasUser = (value: { scope: string; user?: string | null | undefined }) =>
  value.scope !== 'user' || Boolean(value.user);
const USER_MISSING = { path: ['user'], message: 'is missing' };

const account = { organization: organization.optional(), user: user.optional(), count };
const namesAccount = (query: { organization?: string | undefined; user?: string | undefined }) =>
  (query.organization ?? query.user) !== undefined;
const ACCOUNT_MISSING = { message: 'One of organization and user is required.' };

export const membershipsQuery = z
  .object({ ...account, email: email.optional(), role: z.enum(['owner', 'admin', 'user']).optional() })
  .refine(namesAccount, ACCOUNT_MISSING);

export const eventTypesQuery = z
  .object({ ...account, active: z.enum(['true', 'false']).optional() })
  .refine(namesAccount, ACCOUNT_MISSING);

export const eventsQuery = z
  .object({
    ...account,
    group: uri('groups').optional(),
    status,
    invitee_email: email.optional(),
    min_start_time: instant.default(-Infinity),
    max_start_time: instant.default(Infinity),
    sort: order('start_time'),
  })
  .refine((query) => namesAccount(query) || query.group !== undefined, {
    message: 'One of user, organization and group is required.',
  });

export const inviteesQuery = z.object({ status, email: email.optional(), sort: order('created_at'), count });
export const cancellationBody = z.object({ reason: z.string().max(10_000).nullish() });
export const noShowBody = z.object({ invitee: uri('scheduled_events/[A-Za-z0-9-]+/invitees') });

export const subscriptionsQuery = z
  .object({ organization, user: user.optional(), scope, sort: order('created_at'), count })
  .refine(hasUser, USER_MISSING);

export const subscriptionBody = z
  .object({
    url: z.url({ protocol: /^https?$/, message: 'is not a valid URL' }),
    events: z
      .array(z.enum(WEBHOOK_EVENTS))
      .min(1, 'is missing')
      .refine((events) => new Set(events).size === events.length, 'must be unique'),
    organization,
    scope,
    user: user.nullish(),
    signing_key: z.string().min(1).nullish(),
  })
  .refine(hasUser, USER_MISSING)
  .refine(({ scope, events }) => scope !== 'user' || !events.includes('routing_form_submission.created'), {
    path: ['events'],
    message: 'routing_form_submission.created needs scope organization',
  });
