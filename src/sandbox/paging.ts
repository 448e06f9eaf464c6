/**
 * Pages of a listing and their tokens. A token holds the position of a row, is bound to its exact query and caller,
 * and goes stale; nothing is stored for it. Knows no meetings.
 */
import { createHmac } from 'node:crypto';
import { staleToken } from './api-error.js';
import type { Micros } from './time.js';

/** Where a row stands in a listing: rows are ordered by the first number, then by the second. */
export type Position = readonly [number, number];

export interface Listing<Row> {
  /** In ascending order of their positions. */
  rows: readonly Row[];
  /** The index by default, for rows that are filtered and in order already. */
  positionOf?(row: Row, index: number): Position;
  accepts?(row: Row): boolean;
  descending?: boolean;
  /** The row as the API shows it. */
  show?(row: Row): unknown;
}

export type PageTokens = ReturnType<typeof createPageTokens>;

/** @param lifetime how long a token can be used */
export function createPageTokens(seed: number, lifetime: Micros, now: () => Micros) {
  const signed = (query: string, content: string) => {
    const signature = createHmac('sha256', `pages ${seed}`)
      .update(`${query}\n${content}`)
      .digest('base64url');
    return `${content}.${signature.slice(0, 12)}`;
  };
  return {
    issue(query: string, position: Position): string {
      const content = JSON.stringify([...position, now()]);
      return signed(query, Buffer.from(content).toString('base64url'));
    },
    /** @throws ApiError 400 for a token of another query, one that is too old, and one that was never issued */
    read(query: string, token: string): Position {
      const [content = ''] = token.split('.');
      if (token !== signed(query, content)) throw staleToken();
      const [first, second, issued] = JSON.parse(Buffer.from(content, 'base64url').toString());
      if (now() - issued > lifetime) throw staleToken();
      return [first, second];
    },
  };
}

/** Cuts the page that the URL asks for. @param caller a token works for nobody else @throws ApiError 400 */
export function pageOf<Row>(
  url: URL,
  caller: string,
  count: number,
  tokens: PageTokens,
  listing: Listing<Row>,
) {
  const { rows, positionOf, accepts, descending, show } = listing;
  const parameters = [...url.searchParams].filter(([name]) => name !== 'page_token');
  const query = JSON.stringify([caller, url.pathname, parameters.sort()]);
  const token = url.searchParams.get('page_token');
  const last = token === null ? null : tokens.read(query, token);
  const isBeyond = ([first, second]: Position) => {
    const distance = last === null ? 1 : first - last[0] || second - last[1];
    return last === null || (descending ? distance < 0 : distance > 0);
  };
  const collection: unknown[] = [];
  let end: Position = [0, 0];
  let hasMore = false;
  for (const [index, row] of (descending ? rows.toReversed() : rows).entries()) {
    const position = positionOf?.(row, index) ?? [index, 0];
    if (!isBeyond(position) || accepts?.(row) === false) continue;
    hasMore = collection.length === count;
    if (hasMore) break;
    collection.push(show ? show(row) : row);
    end = position;
  }
  const next_page_token = hasMore ? tokens.issue(query, end) : null;
  const next = new URL(url);
  next.searchParams.set('page_token', next_page_token ?? '');
  const next_page = hasMore ? next.href : null;
  return { collection, pagination: { count: collection.length, next_page, next_page_token } };
}
