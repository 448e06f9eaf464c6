/** What an endpoint of the API is, and the checks that several endpoints share. */
import type { z } from 'zod';
import { invalidArgument, permissionDenied } from './api-error.js';
import type { MeetingsView } from './meetings.js';
import type { PageRequest } from './paging.js';
import type { Host } from './people.js';
import { parseOrRefuse } from './query.js';
import { hostByUri, type SandboxState } from './state.js';

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

/** An endpoint that reads. */
export function get(path: string, scope: string, answer: Endpoint['answer']): Endpoint {
  return { method: 'GET', path, scope: `${scope}:read`, answer };
}

/** An endpoint that changes something. */
export function write(
  method: 'POST' | 'DELETE',
  path: string,
  scope: string,
  answer: Endpoint['answer'],
): Endpoint {
  return { method, path, scope: `${scope}:write`, answer };
}

/** What `pageOf` needs to know of a request. */
export function pageRequest({ state, url, caller }: ApiRequest, count: number): PageRequest {
  return { url, caller: caller.user.uri, count, tokens: state.pages };
}

/** @throws ApiError 403 unless the organization is that of the sandbox and the user belongs to it */
export function requireMembers(
  { state }: ApiRequest,
  { organization, user }: { organization?: string | undefined; user?: string | undefined },
): void {
  if (organization !== undefined && organization !== state.organization.uri) throw permissionDenied();
  if (user !== undefined && !hostByUri(state, user)) {
    throw permissionDenied('This user is not in your organization');
  }
}

/** Parses the body. @throws ApiError 400 */
export async function readBody<Schema extends z.ZodType>(
  request: ApiRequest,
  schema: Schema,
): Promise<z.output<Schema>> {
  const body = await request.body().catch(() => {
    throw invalidArgument({ message: 'The body is not valid JSON.' });
  });
  return parseOrRefuse(body, schema);
}
