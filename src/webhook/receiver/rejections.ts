/**
 * Counts rejected requests in memory and writes the counts now and then, so that a million bad requests cost a
 * handful of rows. A crash loses at most the counts since the last write.
 */
import type { Database } from '../../database/connection.js';
import { addRejections } from '../../database/tables/webhook-rejections.js';
import type { Rejection, RejectionCount } from './log-lines.js';

export interface Rejections {
  count(reason: Rejection): void;
  /** Writes the counts for the last time. */
  close(): Promise<void>;
}

const DEADLINE_MS = 5_000;
const WRITE_EVERY_MS = 10_000;

/** @param onCounts called before each write with what was counted since the last one */
export function createRejections(
  database: Database,
  onCounts: (counts: RejectionCount[]) => void,
): Rejections {
  const unreported = new Map<Rejection, number>();
  const unwritten = new Map<Rejection, number>();
  let timer: NodeJS.Timeout | null = null;
  let writing: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    const counts = takeAll(unwritten);
    if (counts.length === 0) return;
    const fresh = takeAll(unreported);
    if (fresh.length > 0) onCounts(fresh);
    try {
      await database.transaction((sql) => addRejections(sql, counts), { deadlineMs: DEADLINE_MS });
    } catch {
      // The database is down, which is reported elsewhere: the counts wait, still one number per reason.
      for (const { reason, count } of counts) add(unwritten, reason, count);
      schedule();
    }
  }

  function schedule(): void {
    timer ??= setTimeout(() => void flush(), WRITE_EVERY_MS).unref();
  }

  function flush(): Promise<void> {
    if (timer) clearTimeout(timer);
    timer = null;
    writing = writing.then(write);
    return writing;
  }

  return {
    count(reason) {
      add(unwritten, reason, 1);
      add(unreported, reason, 1);
      schedule();
    },
    async close() {
      await flush();
      if (timer) clearTimeout(timer);
    },
  };
}

function add(counts: Map<Rejection, number>, reason: Rejection, count: number): void {
  counts.set(reason, (counts.get(reason) ?? 0) + count);
}

function takeAll(counts: Map<Rejection, number>): RejectionCount[] {
  const taken = [...counts].map(([reason, count]) => ({ reason, count }));
  counts.clear();
  return taken;
}
