/** What an endpoint of the API is, and how it reads queries and bodies. */
import type { z } from 'zod';
import { invalidArgument } from './api-error.js';
import type { MeetingsView } from './meetings.js';
import type { Host } from './organization.js';
import { type Listing, pageOf } from './paging.js';
import type { SandboxState } from './state.js';

/** A request of a caller who may use the endpoint at all. */
export interface ApiRequest {
  state: SandboxState;
  /** The meetings that this request sees. */
  meetings: MeetingsView;
  caller: Host;
  url: URL;
  /** The body as JSON; rejects when it is anything else. */
  body(): Promise<unknown>;
}

/** One endpoint. Its answer is the JSON body; null answers 204. It throws ApiError. */
export interface Endpoint {
  method: 'GET' | 'POST' | 'DELETE';
  /** With `:id` and `:below` for the parts that vary. */
  path: string;
  /** What a token with scopes must have. */
  scope: string;
  answer(request: ApiRequest, id: string, below: string): object | null | Promise<object>;
}

export function show(
  path: string,
  scope: string,
  find: (request: ApiRequest, id: string, below: string) => unknown,
): Endpoint {
  const answer: Endpoint['answer'] = (...args) => ({ resource: find(...args) });
  return { method: 'GET', path, scope: `${scope}:read`, answer };
}

/** An endpoint that reads pages of a listing: of rows that are filtered and in order, or of a Listing. */
export function list<Query extends { count: number }, Row>(
  path: string,
  scope: string,
  schema: z.ZodType<Query>,
  find: (request: ApiRequest, query: Query, id: string) => readonly Row[] | Listing<Row>,
): Endpoint {
  const answer = (request: ApiRequest, id: string) => {
    const { url, caller, state } = request;
    // An empty value counts as absent.
    const given = [...url.searchParams].filter(([, value]) => value !== '');
    const query = parse(Object.fromEntries(given), schema);
    const found = find(request, query, id);
    const listing: Listing<Row> = 'rows' in found ? found : { rows: found };
    return pageOf(url, caller.user.uri, query.count, state.pages, listing);
  };
  return { method: 'GET', path, scope: `${scope}:read`, answer };
}

export function create<Body>(
  path: string,
  scope: string,
  schema: z.ZodType<Body>,
  run: (request: ApiRequest, body: Body, id: string) => unknown,
): Endpoint {
  const answer = async (request: ApiRequest, id: string) => {
    const body = await request.body().catch(() => {
      throw invalidArgument({ message: 'The body is not valid JSON.' });
    });
    return { resource: run(request, parse(body, schema), id) };
  };
  return { method: 'POST', path, scope: `${scope}:write`, answer };
}

export function remove(
  path: string,
  scope: string,
  run: (request: ApiRequest, id: string) => void,
): Endpoint {
  const answer = (request: ApiRequest, id: string) => {
    run(request, id);
    return null;
  };
  return { method: 'DELETE', path, scope: `${scope}:write`, answer };
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
