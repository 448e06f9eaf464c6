/**
 * Pages of a listing and their tokens. A token holds the position of a row, is bound to its exact query and caller,
 * and goes stale; nothing is stored for it. Knows no meetings.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { staleToken } from './api-error.js';
import type { Micros } from './time.js';

/** Where a row stands in a listing: rows are ordered by the first number, then by the second. */
export type ListingCursor = readonly [number, number];

/** Creates and reads page tokens. */
export type PageTokens = ReturnType<typeof createPageTokens>;

/** @param lifetime how long a token can be used */
export function createPageTokens(seed: number, lifetime: Micros, now: () => Micros) {
  const signatureOf = (query: string, body: string) =>
    createHmac('sha256', `pages ${seed}`).update(`${query}\n${body}`).digest().subarray(0, 9);
  return {
    issue(query: string, cursor: ListingCursor, backward: boolean): string {
      const body = JSON.stringify([...cursor, backward ? 1 : 0, now()]);
      return signatureOf(query, body).toString('base64url') + Buffer.from(body).toString('base64url');
    },
    /** null for a token of another query, one that is too old, and one that was never issued. */
    read(query: string, token: string): { cursor: ListingCursor; backward: boolean } | null {
      const signature = Buffer.from(token.slice(0, 12), 'base64url');
      const body = Buffer.from(token.slice(12), 'base64url').toString();
      const expected = signatureOf(query, body);
      if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) return null;
      const [first, second, backward, issued] = JSON.parse(body) as [number, number, number, number];
      return now() - issued > lifetime ? null : { cursor: [first, second], backward: backward === 1 };
    },
  };
}

/** What a page is cut from. */
export interface Listing<Row> {
  /** In ascending order of their cursors. */
  rows: readonly Row[];
  cursorOf(row: Row): ListingCursor;
  /** Rows that are not accepted are passed over. */
  accepts?(row: Row): boolean;
  descending?: boolean;
}

/** Who asks for a page, and how. */
export interface PageRequest {
  url: URL;
  /** A token works for nobody else. */
  caller: string;
  count: number;
  tokens: PageTokens;
}

/** Cuts one page. @throws ApiError 400 when the page token is not valid, or no longer */
export function pageOf<Row>({ url, caller, count, tokens }: PageRequest, listing: Listing<Row>) {
  const parameters = [...url.searchParams].filter(([name]) => name !== 'page_token');
  const query = JSON.stringify([caller, url.pathname, parameters.sort()]);
  const token = url.searchParams.get('page_token');
  const from = token === null ? { cursor: null, backward: false } : tokens.read(query, token);
  if (from === null) throw staleToken();
  const found = rowsBeyond(listing, from.cursor, from.backward, count + 1);
  const rows = found.slice(0, count);
  const hasMore = found.length > count;
  if (from.backward) rows.reverse();
  const [first, last] = [rows[0], rows.at(-1)].map((row) =>
    row === undefined ? null : listing.cursorOf(row),
  );
  const existsBeyond = (cursor: ListingCursor, backward: boolean) =>
    from.backward === backward ? hasMore : rowsBeyond(listing, cursor, backward, 1).length > 0;
  const next = last && existsBeyond(last, false) ? tokens.issue(query, last, false) : null;
  const hasPrevious = first && token !== null && existsBeyond(first, true);
  const previous = hasPrevious ? tokens.issue(query, first, true) : null;
  return {
    collection: rows,
    pagination: {
      count: rows.length,
      next_page: next && pageUrl(url, next),
      previous_page: previous && pageUrl(url, previous),
      next_page_token: next,
      previous_page_token: previous,
    },
  };
}

/** A listing of rows that are already filtered and in order. */
export function listingOf<Row>(rows: readonly Row[]): Listing<Row> {
  const positions = new Map(rows.map((row, index) => [row, index]));
  return { rows, cursorOf: (row) => [positions.get(row) ?? 0, 0] };
}

/** Up to `limit` accepted rows beyond the cursor (from an end when null), nearest first. */
function rowsBeyond<Row>(
  { rows, cursorOf, accepts = () => true, descending = false }: Listing<Row>,
  cursor: ListingCursor | null,
  backward: boolean,
  limit: number,
): Row[] {
  const step = backward === descending ? 1 : -1;
  const found: Row[] = [];
  const after = cursor === null ? (step > 0 ? 0 : rows.length) : positionAfter(rows, cursorOf, cursor);
  let index = after;
  if (step < 0) {
    // The row at the cursor itself may be gone by now.
    const before = rows[after - 1];
    const isCursor = cursor !== null && before !== undefined && compare(cursorOf(before), cursor) === 0;
    index = after - (isCursor ? 2 : 1);
  }
  for (; found.length < limit; index += step) {
    const row = rows[index];
    if (row === undefined) break;
    if (accepts(row)) found.push(row);
  }
  return found;
}

/** The number of rows up to and including the cursor. */
export function positionAfter<Row>(
  rows: readonly Row[],
  cursorOf: (row: Row) => ListingCursor,
  cursor: ListingCursor,
): number {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const row = rows[middle];
    if (row !== undefined && compare(cursorOf(row), cursor) > 0) high = middle;
    else low = middle + 1;
  }
  return low;
}

function compare(a: ListingCursor, b: ListingCursor): number {
  return a[0] - b[0] || a[1] - b[1];
}

function pageUrl(url: URL, token: string): string {
  const page = new URL(url);
  page.searchParams.set('page_token', token);
  return page.href;
}
