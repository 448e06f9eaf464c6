/** Query parameters as Calendly checks them: one answer names everything that is wrong. */
import { z } from 'zod';
import { invalidArgument } from './api-error.js';
import { CANONICAL } from './ids.js';
import { parseInstant } from './time.js';

/** Parses a query; an empty value counts as absent. @throws ApiError 400 */
export function readQuery<Schema extends z.ZodType>({ searchParams }: URL, schema: Schema): z.output<Schema> {
  return parseOrRefuse(Object.fromEntries([...searchParams].filter(([, value]) => value !== '')), schema);
}

/** @throws ApiError 400 with a line for each problem */
export function parseOrRefuse<Schema extends z.ZodType>(value: unknown, schema: Schema): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const details = result.error.issues.map(({ path, message }) =>
    path[0] === undefined ? { message } : { parameter: String(path[0]), message },
  );
  throw invalidArgument(...details);
}

/** The URI of a resource of this kind, for example `users`. */
export const uri = (kind: string) =>
  z.string('is missing').regex(new RegExp(`^${CANONICAL}/${kind}/[A-Za-z0-9-]+$`), 'is not a valid URI');

export const email = z
  .string()
  .regex(/^[^@\s]+@[^@\s]+$/, 'is not a valid email')
  .transform((text) => text.toLowerCase());

/** A UTC time with 0 to 6 fraction digits, in microseconds. */
export const instant = z.string().transform((text, context) => {
  const at = parseInstant(text);
  if (at === null) context.issues.push({ code: 'custom', message: 'is not a valid UTC time', input: text });
  return at ?? 0;
});

/** Rows of a page. */
export const count = z
  .string()
  .regex(/^([1-9]\d?|100)$/, 'must be a whole number from 1 to 100')
  .transform(Number)
  .default(20);

export const order = (field: string) => z.enum([`${field}:asc`, `${field}:desc`]);
