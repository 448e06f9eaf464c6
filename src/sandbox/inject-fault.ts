/** What each fault does to one request. Knows the socket; `faults.ts` decides which request is hit. */
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import * as apiError from './api-error.js';

/** What a rule says about the answers that it spoils. */
export interface FaultSettings {
  status: number;
  body?: unknown;
  headers: Record<string, string>;
  ms: number;
  rows: number;
  to: string;
}

/** The request that a fault hits. */
export interface FaultTarget {
  url: URL;
  outgoing: ServerResponse;
  /** The answer that would have been given. @param lagging as it was before the last change */
  answer(lagging?: boolean): Promise<Response>;
}

/** Answers a request; null when the connection was broken and nothing can be added. */
type Inject = (target: FaultTarget, fault: FaultSettings) => Response | null | Promise<Response | null>;

interface Kind {
  summary: string;
  inject: Inject;
}

const kind = (summary: string, inject: Inject): Kind => ({ summary, inject });

/** Every kind of fault: what it does in words, and how. */
export const FAULT_KINDS = {
  status: kind('answers "status" with its usual body, or with "body"', (_target, fault) => failure(fault)),
  html: kind(
    'answers 200 with an HTML page',
    () => new Response('<!doctype html><title>Just a moment…</title><h1>Checking</h1>', html(200)),
  ),
  truncated: kind('answers the first half of the JSON as if it were complete', async ({ answer }) =>
    replaced(await answer(), (body) => body.subarray(0, body.length / 2)),
  ),
  'other-shape': kind('answers JSON of another shape', () =>
    Response.json({ data: [{ id: 1 }], meta: { total: 1 } }),
  ),
  empty: kind('answers 200 without a body', () => new Response(null)),
  hang: kind('never answers', async ({ outgoing }) => {
    await new Promise((resolve) => outgoing.once('close', resolve));
    return null;
  }),
  slow: kind('sends the body in small pieces over "ms" milliseconds (2000)', async ({ answer }, { ms }) =>
    slowed(await answer(), ms),
  ),
  reset: kind('resets the connection instead of answering', ({ outgoing }) => {
    outgoing.socket?.resetAndDestroy();
    return null;
  }),
  'reset-body': kind('resets the connection in the middle of the body', async ({ answer, outgoing }) =>
    resetInBody(await answer(), outgoing),
  ),
  redirect: kind('redirects to the same path at the origin "to"', ({ url }, { to }) => {
    return new Response(null, { status: 302, headers: { location: elsewhere(url, to) } });
  }),
  'next-page-elsewhere': kind('links the next page at the origin "to"', async ({ answer, url }, { to }) =>
    withNextPage(await answer(), elsewhere(url, to)),
  ),
  'page-twice': kind('links the page itself as the next page', async ({ answer, url }) =>
    withNextPage(await answer(), url.href),
  ),
  'stale-token': kind('answers 400 to a page token, as if it had gone stale', () =>
    apiError.errorResponse(apiError.staleToken()),
  ),
  'strict-times': kind('answers 400 to a query time with three fraction digits', ({ url }) =>
    apiError.errorResponse(apiError.invalidArgument(...threeDigitTimes(url))),
  ),
  'short-listing': kind('leaves the last "rows" rows of a page out (1), as if they did not exist', shortened),
  lagging: kind('answers as if the last change had not happened yet', ({ answer }) => answer(true)),
};

export type FaultKind = keyof typeof FAULT_KINDS;

/** Answers the request as the fault demands; null when the connection was broken. */
export async function injectFault(
  fault: FaultSettings & { kind: FaultKind },
  target: FaultTarget,
): Promise<Response | null> {
  return FAULT_KINDS[fault.kind].inject(target, fault);
}

/** A complaint for each query parameter that is a time with three fraction digits. */
export function threeDigitTimes(url: URL) {
  const refused = [...url.searchParams].filter(([, value]) => /T[\d:]+\.\d{3}Z$/.test(value));
  return refused.map(([parameter]) => ({ parameter, message: 'is not a valid UTC time' }));
}

/** The errors that Calendly itself answers. */
const USUAL_ERRORS: Record<number, apiError.ApiError> = {
  400: apiError.invalidArgument(),
  401: apiError.unauthenticated('The access token is invalid'),
  403: apiError.permissionDenied(),
  404: apiError.notFound(),
  429: apiError.tooManyRequests(),
};

function failure({ status, body, headers }: FaultSettings): Response {
  if (typeof body === 'string') return new Response(body, html(status, headers));
  const unknown = { title: 'Internal Server Error', message: 'The server met an unexpected condition.' };
  return Response.json(body ?? USUAL_ERRORS[status]?.body ?? unknown, { status, headers });
}

function html(status: number, headers: Record<string, string> = {}): ResponseInit {
  return { status, headers: { 'content-type': 'text/html; charset=utf-8', ...headers } };
}

function elsewhere(url: URL, origin: string): string {
  return new URL(url.pathname + url.search, origin).href;
}

const JSON_HEADERS = { 'content-type': 'application/json' };

async function replaced(
  answer: Response,
  change: (body: Buffer<ArrayBuffer>) => Uint8Array<ArrayBuffer> | ReadableStream,
) {
  const body = Buffer.from(await answer.arrayBuffer());
  return new Response(change(body), { status: answer.status, headers: JSON_HEADERS });
}

function slowed(answer: Response, ms: number): Promise<Response> {
  const pieces = 20;
  return replaced(answer, (body) => {
    const size = Math.max(1, Math.ceil(body.length / pieces));
    const stop = new AbortController();
    let sent = 0;
    return new ReadableStream<Uint8Array>({
      async pull(controller) {
        await sleep(ms / pieces, undefined, { signal: stop.signal, ref: false });
        controller.enqueue(body.subarray(sent, sent + size));
        sent += size;
        if (sent >= body.length) controller.close();
      },
      cancel: () => stop.abort(),
    });
  });
}

async function resetInBody(answer: Response, outgoing: ServerResponse): Promise<null> {
  const body = Buffer.from(await answer.arrayBuffer());
  outgoing.writeHead(answer.status, { ...JSON_HEADERS, 'content-length': body.length });
  await new Promise((resolve) => outgoing.write(body.subarray(0, body.length / 2), resolve));
  // The half must leave before the reset, or the client would see no answer at all.
  await sleep(20, undefined, { ref: false });
  outgoing.socket?.resetAndDestroy();
  return null;
}

interface Page {
  collection: unknown[];
  pagination: Record<string, unknown>;
}

/** Changes the page that was answered; anything but a page stays as it is. */
async function withPage(answer: Response, change: (page: Page) => Page): Promise<Response> {
  return answer.status === 200 ? Response.json(change((await answer.json()) as Page)) : answer;
}

function withNextPage(answer: Response, next_page: string): Promise<Response> {
  return withPage(answer, (page) => ({ ...page, pagination: { ...page.pagination, next_page } }));
}

async function shortened({ answer }: FaultTarget, { rows }: FaultSettings): Promise<Response> {
  return withPage(await answer(), ({ collection: all, pagination }) => {
    const collection = all.slice(0, -rows);
    return { collection, pagination: { ...pagination, count: collection.length } };
  });
}
