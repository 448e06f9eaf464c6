/**
 * After the files: enters meetings that another integration wrote, in batches with short locks. Knows no form of
 * such rows.
 */
import type { Database } from '../database/connection.js';
import { adoptMeetings } from '../database/tables/adoption.js';
import { historyText } from './history.js';
import { type LockOptions, runUnderLock } from './lock.js';

/** How many rows of `meetings` were looked at, by what became of them. */
export interface AdoptionResult {
  adopted: number;
  /** Rows of an event that another row stands for already. */
  duplicates: number;
  /** Rows that name no event, or no user that exists. */
  unrecognised: number;
}

/** Adopts all rows; each batch is a transaction of its own, tried again like a file. */
export async function adoptAll(database: Database, options: LockOptions): Promise<AdoptionResult> {
  const total = { adopted: 0, duplicates: 0, unrecognised: 0 };
  let after: string | null = null;
  do {
    const done: Awaited<ReturnType<typeof adoptMeetings>>[] = [];
    const step = {
      file: 'Adopting meetings',
      slow: true,
      lookup: () => historyText(database.schema),
      run: ({ sql }: { sql: Parameters<typeof adoptMeetings>[0] }) => adoptMeetings(sql, { after }),
    };
    await runUnderLock(database, options, [step], done);
    const [batch] = done;
    total.adopted += batch?.adopted ?? 0;
    total.duplicates += batch?.duplicates ?? 0;
    total.unrecognised += batch?.unrecognised ?? 0;
    after = batch?.next ?? null;
  } while (after !== null);
  return total;
}
