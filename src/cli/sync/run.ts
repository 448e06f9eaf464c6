/** What `sync` and `force-full` do after their flags are parsed. Loaded when one of them runs. */
import { setFlagsFromString } from 'node:v8';
import { CalendlySyncError } from '../../errors.js';
import { readOneMeeting } from '../../sync/one-meeting.js';
import { requestFullSync, sync } from '../../sync/sync.js';
import type { CommandContext, CommandResult } from '../command.js';
import { withDatabase } from '../database.js';
import { showSync, syncResult } from './output.js';

export interface SyncFlags {
  /** `users.id` or e-mail of each user to sync; all users without it. */
  user?: string[] | undefined;
  dryRun?: boolean | undefined;
  concurrency?: number | undefined;
  /** ms since 1970 */
  since?: number | undefined;
  /** ms since 1970 */
  until?: number | undefined;
  /** URI of the one meeting to read again. */
  event?: string | undefined;
  /** false leaves a disabled webhook subscription as it is. */
  repair?: boolean | undefined;
  /** Forces a full sync. */
  full?: boolean | undefined;
}

/** `sync`: opens the database, syncs, shows the result. */
export function runSync(context: CommandContext, flags: SyncFlags): Promise<CommandResult> {
  const { config, output, signal } = context;
  const { user: users = [], dryRun = false, event, ...options } = flags;
  if ((options.since ?? 0) >= (options.until ?? Number.POSITIVE_INFINITY)) {
    throw new CalendlySyncError('usage', '--since must be before --until.');
  }
  limitHeapGrowth();
  return withDatabase(context, async (database) => {
    const shown = await showSync(output);
    const common = { config, database, signal, onEvent: shown.onEvent, users, dryRun };
    try {
      const result = await (event ? readOneMeeting({ ...common, event }) : sync({ ...common, ...options }));
      shown.close();
      if (dryRun) output.note('Nothing was written (--dry-run).');
      return syncResult(output, result);
    } finally {
      shown.close();
    }
  });
}

export interface ForceFullFlags extends Pick<SyncFlags, 'user' | 'concurrency'> {
  all?: boolean | undefined;
  markOnly?: boolean | undefined;
}

/** `force-full`: a full sync, or only the request for one. */
export async function runForceFull(context: CommandContext, flags: ForceFullFlags): Promise<CommandResult> {
  const { config, output, signal } = context;
  const { user: users = [], all, markOnly, concurrency } = flags;
  if (all && users.length > 0) {
    throw new CalendlySyncError('usage', "--all and --user can't be used together.");
  }
  if (!markOnly) return runSync(context, { user: users, concurrency, full: true });
  return withDatabase(context, async (database) => {
    const marked = await requestFullSync({ config, database, signal, users, onEvent: () => {} });
    for (const { user_id: id, email } of marked) {
      output.result(`The next sync of ${email ?? id} will be a full one.`);
    }
    return { document: { marked } };
  });
}

/**
 * Lets the heap grow by a fifth between two collections. V8's own heuristic lets it grow to a multiple of the live data
 * on a machine with much memory. A sync waits for the network most of the time, so the collector costs nothing.
 */
function limitHeapGrowth(): void {
  setFlagsFromString('--heap-growing-percent=20');
}
