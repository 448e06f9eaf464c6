/** Every request that the sandbox got, in order: what tests count. The control API's own requests are not among them. */

export interface RequestEntry {
  /** Counts from 1 since the last reset. */
  number: number;
  /** When it came in, ISO-8601 by the real clock. */
  at: string;
  method: string;
  path: string;
  /** The query without its `?`. */
  query: string;
  /** Who asked; null without a valid token. */
  user: string | null;
  user_agent: string | null;
  /** null while it is unanswered, and for good when a fault left it so. */
  status: number | null;
  /** The fault that it met. */
  fault: string | null;
}

export interface RequestLog {
  begin(entry: Pick<RequestEntry, 'method' | 'path' | 'query' | 'user_agent'>): RequestEntry;
  entries(): RequestEntry[];
  /** How many there were since the last reset, those included that `entries` no longer holds. */
  total(): number;
  reset(): void;
}

/** Keeps the newest `keep` entries, so that a sandbox can run for days. */
export function createRequestLog(keep = 100_000): RequestLog {
  let entries: RequestEntry[] = [];
  let total = 0;
  return {
    begin(facts) {
      total++;
      const entry = {
        number: total,
        at: new Date().toISOString(),
        ...facts,
        user: null,
        status: null,
        fault: null,
      };
      entries.push(entry);
      // In one go now and then: shifting the array on every request would cost more than the request.
      if (entries.length > keep * 1.1) entries = entries.slice(-keep);
      return entry;
    },
    entries: () => structuredClone(entries),
    total: () => total,
    reset() {
      entries = [];
      total = 0;
    },
  };
}
