/** What `sync` and `force-full` do after their flags are parsed. Loaded when one of them runs. */
import { readOneMeeting } from '../../sync/one-meeting.js';
import { requestFullSync, sync } from '../../sync/sync.js';
import type { CommandContext, CommandResult } from '../command.js';
import { withDatabase } from '../database.js';
import { limitHeapGrowth } from './heap.js';
import { showSync, syncResult } from './output.js';

export interface SyncFlags {
  /** `users.id` or e-mail of each user to sync; all users without it. */
  users?: string[] | undefined;
  dryRun?: boolean | undefined;
  concurrency?: number | undefined;
  since?: number | undefined;
  until?: number | undefined;
  /** URI of the one meeting to read again. */
  event?: string | undefined;
  /** Forces a full sync. */
  full?: boolean | undefined;
  /** false leaves a disabled webhook subscription as it is. */
  repair?: boolean | undefined;
}

/** Opens the database, syncs, shows the result. */
export function runSync(context: CommandContext, flags: SyncFlags): Promise<CommandResult> {
  const { config, output, signal } = context;
  const { users = [], dryRun = false, event, ...options } = flags;
  limitHeapGrowth();
  return withDatabase(context, async (database) => {
    const shown = await showSync(output);
    const common = { config, database, signal, onEvent: shown.onEvent, users, dryRun };
    try {
      const result = event
        ? await readOneMeeting({ ...common, event })
        : await sync({ ...common, ...options });
      shown.close();
      if (dryRun) output.note('Nothing was written (--dry-run).');
      return syncResult(output, result);
    } finally {
      shown.close();
    }
  });
}

/** Requests a full sync of the next run: `force-full --mark-only`. */
export function runMarkOnly(context: CommandContext, users: string[]): Promise<CommandResult> {
  const { config, output, signal } = context;
  return withDatabase(context, async (database) => {
    const marked = await requestFullSync({ config, database, signal, users, onEvent: () => {} });
    for (const { user_id: id, email } of marked) {
      output.result(`The next sync of ${email ?? id} will be a full one.`);
    }
    return { document: { marked } };
  });
}
