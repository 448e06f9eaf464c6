/** What each fault does to one request. Knows the socket; which request is hit is decided elsewhere. */
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import {
  answerProblem,
  invalidArgument,
  notFound,
  type Problem,
  permissionDenied,
  staleToken,
  tooManyRequests,
  unauthenticated,
} from './api-error.js';
import type { Fault } from './faults.js';

/** The request that is hit. */
export interface Victim {
  url: URL;
  outgoing: ServerResponse;
  /** Makes the answer that would have been given; asked only by faults that spoil it. */
  answer(): Promise<Response>;
}

/** The answer of a request that meets the fault; null when the connection itself was spoiled and nothing can be added. */
export async function misbehave(fault: Fault, victim: Victim): Promise<Response | null> {
  switch (fault.kind) {
    case 'stale-token':
      return answerProblem(staleToken());
    case 'status':
      return failure(fault);
    case 'html':
      return new Response(
        '<!doctype html><title>Just a moment…</title><h1>Checking your browser</h1>',
        html(200),
      );
    case 'other-shape':
      return Response.json({ data: [{ id: 1 }], meta: { total: 1 } });
    case 'empty':
      return new Response(null, { status: 200 });
    case 'hang':
      await new Promise((resolve) => victim.outgoing.once('close', resolve));
      return null;
    case 'reset':
      victim.outgoing.socket?.resetAndDestroy();
      return null;
    case 'redirect':
      return new Response(null, { status: 302, headers: { location: elsewhere(victim.url, fault.to) } });
    case 'truncated':
      return truncated(await victim.answer());
    case 'slow':
      return trickling(await victim.answer(), fault.ms);
    case 'reset-body':
      await resetInBody(await victim.answer(), victim.outgoing);
      return null;
    case 'next-page-elsewhere':
      return withNextPage(await victim.answer(), elsewhere(victim.url, fault.to));
    case 'page-twice':
      return withNextPage(await victim.answer(), victim.url.href);
  }
}

/** Tells Hono that the connection is not its own any more. */
export { RESPONSE_ALREADY_SENT };

/** The errors that Calendly itself would answer. */
const USUAL: Record<number, Problem> = {
  400: invalidArgument(),
  401: unauthenticated('The access token is invalid'),
  403: permissionDenied(),
  404: notFound(),
  429: tooManyRequests(),
};

function failure({ status, body, headers }: Fault): Response {
  if (typeof body === 'string') return new Response(body, html(status, headers));
  const unknown = { title: 'Internal Server Error', message: 'The server met an unexpected condition.' };
  return Response.json(body ?? USUAL[status]?.body ?? unknown, { status, headers });
}

function html(status: number, headers: Record<string, string> = {}): ResponseInit {
  return { status, headers: { 'content-type': 'text/html; charset=utf-8', ...headers } };
}

function elsewhere(url: URL, origin: string): string {
  return new URL(url.pathname + url.search, origin).href;
}

async function truncated(whole: Response): Promise<Response> {
  const body = Buffer.from(await whole.arrayBuffer());
  return new Response(body.subarray(0, body.length / 2), { status: whole.status, headers: jsonHeaders });
}

const jsonHeaders = { 'content-type': 'application/json' };

async function trickling(whole: Response, ms: number): Promise<Response> {
  const body = Buffer.from(await whole.arrayBuffer());
  const drops = 20;
  const size = Math.max(1, Math.ceil(body.length / drops));
  const stop = new AbortController();
  let sent = 0;
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await sleep(ms / drops, undefined, { signal: stop.signal, ref: false });
      controller.enqueue(body.subarray(sent, sent + size));
      sent += size;
      if (sent >= body.length) controller.close();
    },
    cancel: () => stop.abort(),
  });
  return new Response(stream, { status: whole.status, headers: jsonHeaders });
}

async function resetInBody(whole: Response, outgoing: ServerResponse): Promise<void> {
  const body = Buffer.from(await whole.arrayBuffer());
  outgoing.writeHead(whole.status, { ...jsonHeaders, 'content-length': body.length });
  await new Promise((resolve) => outgoing.write(body.subarray(0, body.length / 2), resolve));
  // The half must leave before the reset, or the client would see no answer at all.
  await sleep(20, undefined, { ref: false });
  outgoing.socket?.resetAndDestroy();
}

async function withNextPage(whole: Response, nextPage: string): Promise<Response> {
  if (whole.status !== 200) return whole;
  const page = (await whole.json()) as { pagination: Record<string, unknown> };
  return Response.json({ ...page, pagination: { ...page.pagination, next_page: nextPage } });
}
