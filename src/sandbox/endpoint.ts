/**
 * What an endpoint of the API is, and how it reads queries and bodies. A further resource is a file `…-endpoints.ts`
 * with a table of endpoints, listed in api.ts; what it stores is a field of the state.
 */
import { z } from 'zod';
import { invalidArgument } from './api-error.js';
import type { Meetings } from './meetings.js';
import { CANONICAL, type Host } from './organization.js';
import type { State } from './state.js';

/** A request of a caller who may use the endpoint at all. */
export interface ApiRequest {
  state: State;
  /** The meetings that this request sees. */
  meetings: Meetings;
  caller: Host;
  /** The last id in the path, and the one before it. */
  id: string;
  above: string;
}

/** One endpoint. It throws ApiError. */
export type Endpoint = ReturnType<typeof endpoint>;

/**
 * Defines an endpoint. Its answer is the resource, all rows of a listing, or undefined for 204.
 * @param route method and path, with `:id` and `:above` @param scope without `:read` or `:write`
 * @param schema of the query, or of the body of a POST
 */
export function endpoint<Input>(
  route: string,
  scope: string,
  schema: z.ZodType<Input>,
  run: (request: ApiRequest, input: Input) => unknown,
) {
  const [method = '', path = ''] = route.split(' ');
  const answer = (request: ApiRequest, input: unknown) => run(request, parse(input, schema));
  return { method, path, scope: `${scope}:${method === 'GET' ? 'read' : 'write'}`, answer };
}

/** @throws ApiError 400 with a line for each problem */
function parse<Value>(value: unknown, schema: z.ZodType<Value>): Value {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const details = result.error.issues.map(({ path: [parameter], message }) =>
    parameter === undefined ? { message } : { parameter: String(parameter), message },
  );
  throw invalidArgument(...details);
}

export const nothing = z.unknown();
/** Rows of a page. */
export const count = z
  .string()
  .regex(/^([1-9]\d?|100)$/, 'must be a whole number from 1 to 100')
  .optional();
export const email = z
  .string()
  .regex(/^[^@\s]+@[^@\s]+$/, 'is not a valid email')
  .toLowerCase();
export const order = (field: string) => z.enum([`${field}:asc`, `${field}:desc`]).optional();
/** The URI of a resource of this kind. */
export const uri = (kind: string) =>
  z.string('is missing').regex(new RegExp(`^${CANONICAL}/${kind}/[A-Za-z0-9-]+$`), 'is not a valid URI');
/** Whose resources a listing has. */
export const account = {
  organization: uri('organizations').optional(),
  user: uri('users').optional(),
  count,
};
