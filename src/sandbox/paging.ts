/**
 * Pages of a listing and their tokens. A token holds the place of a row, is bound to its exact query and caller, and
 * goes stale; it needs no memory here. Knows no store: rows come from a function.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { staleToken } from './api-error.js';
import type { Place } from './meeting.js';
import type { Micros } from './microseconds.js';
import type { Collection } from './resources.js';

/** Up to `limit` rows beyond the place (from an end when null), nearest first. */
export type Fetch<Row> = (
  beyond: Place | null,
  backward: boolean,
  limit: number,
) => { row: Row; place: Place }[];

/** Makes and reads page tokens. */
export interface PageTokens {
  issue(query: string, place: Place, backward: boolean): string;
  /** What the token stands for; null when it was made for another query, is too old, or was never made here. */
  read(query: string, token: string): { place: Place; backward: boolean } | null;
}

/** @param lifetimeMs how long a token can be used */
export function createPageTokens(seed: number, lifetimeMs: number, now: () => Micros): PageTokens {
  const mark = (query: string, body: string) =>
    createHmac('sha256', `pages ${seed}`).update(`${query}\n${body}`).digest().subarray(0, 9);
  return {
    issue(query, place, backward) {
      const body = [...place, backward ? 1 : 0, now()].map((part) => part.toString(36)).join('.');
      return mark(query, body).toString('base64url') + Buffer.from(body).toString('base64url');
    },
    read(query, token) {
      const given = Buffer.from(token.slice(0, 12), 'base64url');
      const body = Buffer.from(token.slice(12), 'base64url').toString();
      const due = mark(query, body);
      if (given.length !== due.length || !timingSafeEqual(given, due)) return null;
      const [first = 0, second = 0, backward = 0, issued = 0] = body
        .split('.')
        .map((part) => Number.parseInt(part, 36));
      if (now() - issued > lifetimeMs * 1_000) return null;
      return { place: [first, second], backward: backward === 1 };
    },
  };
}

/** What a page is cut from. */
export interface PageRequest<Row> {
  /** The request's address as the caller sees it, with its query. */
  url: URL;
  /** Who asks: a token works for nobody else. */
  caller: string;
  count: number;
  tokens: PageTokens;
  fetch: Fetch<Row>;
}

/** Cuts one page. @throws Problem 400 when the page token is not valid (any more) */
export function pageOf<Row>({ url, caller, count, tokens, fetch }: PageRequest<Row>): Collection<Row> {
  const query = queryKey(url, caller);
  const token = url.searchParams.get('page_token');
  const from = token === null ? { place: null, backward: false } : tokens.read(query, token);
  if (from === null) throw staleToken();
  const found = fetch(from.place, from.backward, count + 1);
  const rows = found.slice(0, count);
  const more = found.length > count;
  if (from.backward) rows.reverse();
  const first = rows[0]?.place ?? null;
  const last = rows.at(-1)?.place ?? null;
  const hasNext = from.backward ? last !== null && fetch(last, false, 1).length > 0 : more;
  const hasPrevious = from.backward
    ? more
    : first !== null && token !== null && fetch(first, true, 1).length > 0;
  const next = hasNext && last ? tokens.issue(query, last, false) : null;
  const previous = hasPrevious && first ? tokens.issue(query, first, true) : null;
  return {
    collection: rows.map(({ row }) => row),
    pagination: {
      count: rows.length,
      next_page: next && pageUrl(url, next),
      previous_page: previous && pageUrl(url, previous),
      next_page_token: next,
      previous_page_token: previous,
    },
  };
}

/** The fetch function of a short list that is at hand as a whole, in order. */
export function fetchFrom<Row>(rows: readonly Row[]): Fetch<Row> {
  const placed = rows.map((row, index) => ({ row, place: [index, 0] as const }));
  return (beyond, backward, limit) => {
    if (backward)
      return placed
        .slice(0, beyond ? beyond[0] : undefined)
        .reverse()
        .slice(0, limit);
    return placed.slice(beyond ? beyond[0] + 1 : 0).slice(0, limit);
  };
}

function queryKey(url: URL, caller: string): string {
  const parameters = [...url.searchParams].filter(([name]) => name !== 'page_token');
  return JSON.stringify([caller, url.pathname, parameters.sort()]);
}

function pageUrl(url: URL, token: string): string {
  const page = new URL(url);
  page.searchParams.set('page_token', token);
  return page.href;
}
