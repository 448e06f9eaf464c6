/** Pages of a listing and their tokens. Knows no meetings. */
import { randomUUID } from 'node:crypto';
import { staleToken } from './api-error.js';
import { MINUTE, type Micros } from './time.js';

const LIFETIME = 5 * MINUTE;

/** A listing as it was at its first page, and where its next page begins. */
interface Bookmark {
  /** A token is bound to its exact query and caller. */
  query: string;
  rows: readonly unknown[];
  begin: number;
  issued: Micros;
}

export function createPages(now: () => Micros) {
  const bookmarks = new Map<string, Bookmark>();
  const isStale = ({ issued }: Bookmark) => now() - issued > LIFETIME;
  return {
    /**
     * The page that the URL asks for: the first one of these rows, or one of the listing that its token belongs to.
     * @throws ApiError 400 for a token of another query or caller, one that is too old, and one that was never issued
     */
    cut(url: URL, caller: string, listed: readonly unknown[]) {
      const parameters = [...url.searchParams].filter(([name]) => name !== 'page_token');
      const query = JSON.stringify([caller, url.pathname, parameters.sort()]);
      const token = url.searchParams.get('page_token');
      const first = { query, rows: listed, begin: 0, issued: now() };
      const bookmark = token ? bookmarks.get(token) : first;
      if (bookmark?.query !== query || isStale(bookmark)) throw staleToken();
      const { rows, begin } = bookmark;
      const end = begin + Number(url.searchParams.get('count') || 20);
      const collection = rows.slice(begin, end);
      if (end >= rows.length) {
        return {
          collection,
          pagination: { count: collection.length, next_page: null, next_page_token: null },
        };
      }
      for (const [old, { issued }] of bookmarks) if (now() - issued > LIFETIME) bookmarks.delete(old);
      const next_page_token = randomUUID();
      bookmarks.set(next_page_token, { query, rows, begin: end, issued: now() });
      const next = new URL(url);
      next.searchParams.set('page_token', next_page_token);
      return { collection, pagination: { count: collection.length, next_page: next.href, next_page_token } };
    },
  };
}

/** Rows in the order of `field:asc` or `field:desc`. */
export function sorted<Row extends object>(rows: readonly Row[], sort: string): Row[] {
  const [field = '', direction] = sort.split(':');
  const key = (row: Row) => String((row as Record<string, unknown>)[field]);
  const sign = direction === 'desc' ? -1 : 1;
  return [...rows].sort((a, b) => sign * (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
}
