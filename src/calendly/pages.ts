/** Listings: follows `next_page` to the end. Knows no endpoint. */
import { isStalePage, RequestError } from './errors.js';
import type { Send } from './http.js';
import { pageSchema } from './schemas.js';

/** One page of a listing. */
export interface Page<T> {
  rows: T[];
  /** Rows that `parse` returned null for: they have no URI, so they cannot be stored. */
  unreadable: number;
  /** The listing is complete with this page. */
  last: boolean;
}

/**
 * All pages of a listing, back to back. Starts again when a page token goes stale, with what `query` returns then: rows
 * may come twice, but none is left out. Ends normally only when the listing was complete. @throws as `Send`
 */
export type Pages = <T>(
  path: string,
  query: () => Record<string, string>,
  parse: (raw: unknown) => T | null,
) => AsyncGenerator<Page<T>, void, void>;

const PAGE_SIZE = '100';
/** Consecutive pages without a row that name yet another page. */
const MAX_EMPTY_PAGES = 200;
/** Consecutive restarts with the same query. */
const MAX_FRUITLESS_RESTARTS = 5;

/** Creates the paging of one account. */
export function createPages(send: Send, baseUrl: string): Pages {
  return async function* pages(path, query, parse) {
    const firstPage = () =>
      new URL(`${baseUrl}${path}?${new URLSearchParams({ ...query(), count: PAGE_SIZE })}`);
    let start = firstPage();
    let restarts = 0;
    let emptyPages = 0;
    const seen = new Set<string>();
    let next: URL | null = start;
    while (next !== null) {
      const asked: URL = next;
      seen.add(asked.href);
      try {
        const page = await send('GET', asked, (json) => {
          const parsed = parsePage(json, asked, seen);
          if (parsed.raws.length > 0 || emptyPages < MAX_EMPTY_PAGES) return parsed;
          throw new RequestError('invalid', `GET ${path} returned too many empty pages.`);
        });
        emptyPages = page.raws.length > 0 ? 0 : emptyPages + 1;
        const rows = page.raws.map(parse).filter((row) => row !== null);
        next = page.next;
        yield { rows, unreadable: page.raws.length - rows.length, last: next === null };
      } catch (error) {
        if (!isStalePage(error)) throw error;
        const again = firstPage();
        restarts = again.href === start.href ? restarts + 1 : 0;
        if (restarts > MAX_FRUITLESS_RESTARTS) throw error;
        start = again;
        next = again;
        seen.clear();
      }
    }
  };
}

function parsePage(json: unknown, { origin, pathname }: URL, seen: Set<string>) {
  const invalid = (what: string) => new RequestError('invalid', `GET ${pathname} returned ${what}.`);
  const { data } = pageSchema.safeParse(json);
  if (!data) throw invalid('JSON of another shape');
  const link = data.pagination.next_page;
  if (!link) return { raws: data.collection, next: null };
  if (!URL.canParse(link)) throw invalid('a next page that is not a valid URL');
  const next = new URL(link);
  // The token must never be sent to another host.
  if (next.origin !== origin) throw invalid(`a next page on another host (${next.origin}); not followed`);
  if (seen.has(next.href)) throw invalid('a next page that was already read');
  return { raws: data.collection, next };
}
