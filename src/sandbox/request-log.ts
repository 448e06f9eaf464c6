/** Every request that the API received, oldest first. Requests of the control API are not logged. */

export interface RequestEntry {
  /** Counts from 1 since the last reset. */
  number: number;
  /** When it arrived, by the real clock. */
  at: string;
  method: string;
  path: string;
  /** Without its `?`. */
  query: string;
  /** Who asked; null without a valid token. */
  user: string | null;
  user_agent: string | null;
  /** null while it is unanswered, and for good when a fault left it so. */
  status: number | null;
  fault: string | null;
}

export type RequestLog = ReturnType<typeof createRequestLog>;

/** Keeps the newest `keep` entries, so that a sandbox can run for days. */
export function createRequestLog(keep = 100_000) {
  let entries: RequestEntry[] = [];
  let total = 0;
  return {
    begin(facts: Pick<RequestEntry, 'method' | 'path' | 'query' | 'user_agent'>): RequestEntry {
      total++;
      const at = new Date().toISOString();
      const entry = { number: total, at, ...facts, user: null, status: null, fault: null };
      entries.push(entry);
      // Trimmed rarely: shifting the array on every request would cost more than the request.
      if (entries.length > keep * 1.1) entries = entries.slice(-keep);
      return entry;
    },
    entries: (): RequestEntry[] => structuredClone(entries),
    /** How many there were since the last reset, including those that `entries` no longer holds. */
    total: () => total,
    reset() {
      entries = [];
      total = 0;
    },
  };
}
