/**
 * Counts refused requests: in memory first, written once in a while, so that whoever sends a million bad requests costs a handful
 * of rows. What a crash loses is at most the counts since the last writing.
 */
import type { Database } from '../../database/connection.js';
import { addRejections } from '../../database/tables/webhook-rejections.js';
import type { Rejection } from './log-lines.js';

export interface Rejections {
  count(reason: Rejection): void;
  /** Writes what is counted; keeps it for the next time when the database is away. */
  flush(): Promise<void>;
  /** Writes, and ends the writing. */
  close(): Promise<void>;
}

const WRITE_EVERY_MS = 10_000;

/** @param onWritten hears of what was counted since the last writing */
export function createRejections(
  database: Database,
  onWritten: (counts: { reason: Rejection; count: number }[]) => void,
): Rejections {
  const counts = new Map<Rejection, number>();
  const told = new Map<Rejection, number>();
  let timer: NodeJS.Timeout | null = null;
  let writing: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    timer = null;
    const batch = [...counts].map(([reason, count]) => ({ reason, count }));
    if (batch.length === 0) return;
    const news = [...told].map(([reason, count]) => ({ reason, count }));
    told.clear();
    if (news.length > 0) onWritten(news);
    counts.clear();
    try {
      await database.transaction((sql) => addRejections(sql, batch));
    } catch {
      // The database is away, and says so elsewhere: the counts wait, still one number for each reason.
      for (const { reason, count } of batch) counts.set(reason, (counts.get(reason) ?? 0) + count);
      later();
    }
  }

  function later(): void {
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
      counts.set(reason, (counts.get(reason) ?? 0) + 1);
      told.set(reason, (told.get(reason) ?? 0) + 1);
      later();
    },
    flush,
    async close() {
      await flush();
      if (timer) clearTimeout(timer);
    },
  };
}
