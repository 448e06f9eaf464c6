/** What `sync` and `force-full` do between their flags and their answer. Loaded when one of them runs. */
import type { Config } from '../../config.js';
import { readOneMeeting } from '../../sync/one-meeting.js';
import { requestFullSync, sync } from '../../sync/sync.js';
import type { CommandResult } from '../command.js';
import { withDatabase } from '../database.js';
import type { Output } from '../terminal/output.js';
import { limitHeapGrowth } from './heap.js';
import { showSync, syncAnswer } from './output.js';

export interface RunSyncOptions {
  config: Config;
  output: Output;
  signal: AbortSignal;
  users: string[];
  dryRun?: boolean | undefined;
  concurrency?: number | undefined;
  since?: number | undefined;
  until?: number | undefined;
  /** URI of the one meeting to read again. */
  event?: string | undefined;
  /** Makes the sync a full one, whatever was done before. */
  full?: boolean | undefined;
  /** False leaves a disabled webhook subscription as it is. */
  repair?: boolean | undefined;
}

/** Opens the database, syncs, shows it. */
export async function runSync(options: RunSyncOptions): Promise<CommandResult> {
  const { config, output, signal, users, dryRun = false, event } = options;
  limitHeapGrowth();
  return withDatabase({ config, output, signal }, async (database) => {
    const shown = await showSync(output);
    const common = { config, database, signal, onEvent: shown.onEvent, users, dryRun };
    const { concurrency, since, until, full, repair } = options;
    try {
      const result = event
        ? await readOneMeeting({ ...common, event })
        : await sync({ ...common, concurrency, since, until, full, repair });
      shown.close();
      if (dryRun) output.note('Nothing was written (--dry-run).');
      return syncAnswer(output, result);
    } finally {
      shown.close();
    }
  });
}

/** Sets the mark of `force-full --mark-only`. */
export async function runMarkOnly({ config, output, signal, users }: RunSyncOptions): Promise<CommandResult> {
  return withDatabase({ config, output, signal }, async (database) => {
    const marked = await requestFullSync({ config, database, signal, users, onEvent: () => {} });
    for (const { user_id: id, email } of marked) {
      output.result(`The next sync of ${email ?? id} will be a full one.`);
    }
    return { document: { marked } };
  });
}
