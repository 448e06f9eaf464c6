/** The flags that say how long to wait for locks. */
import type { Command, OptionValues } from '@commander-js/extra-typings';
import { parseDuration } from '../../duration.js';
import { CalendlySyncError } from '../../errors.js';
import type { LockOptions } from '../../migrations/lock.js';
import type { CommandContext } from '../command.js';

export interface LockFlags {
  lockTimeout?: string | undefined;
  maxWait?: string | undefined;
  wait?: true | undefined;
}

/** Adds `--lock-timeout`, `--max-wait` and `--wait`. */
export function withLockOptions<A extends unknown[], O extends OptionValues, G extends OptionValues>(
  command: Command<A, O, G>,
) {
  return command
    .option(
      '--lock-timeout <duration>',
      'max wait for one lock, and so the max stall of others (default: 1s)',
    )
    .option('--max-wait <duration>', 'how long to keep trying for one file; then exit code 75 (default: 1m)')
    .option('--wait', 'wait for a running sync to end (up to --max-wait), instead of exit code 75');
}

/** What the flags say, as the migrations take it, with events shown to the operator. */
export function lockOptions({ output, signal }: CommandContext, flags: LockFlags): LockOptions {
  return {
    lockTimeoutMs: milliseconds('--lock-timeout', flags.lockTimeout),
    maxWaitMs: milliseconds('--max-wait', flags.maxWait),
    waitForSync: flags.wait,
    signal,
    onEvent: ({ kind, message }) => output.note(message, kind === 'blocked' ? 'warn' : undefined),
  };
}

function milliseconds(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const short = /^(\d{1,6})ms$/.exec(text.trim());
  const ms = short ? Number(short[1]) : parseDuration(text);
  if (ms !== null && ms > 0) return ms;
  throw new CalendlySyncError('usage', `${flag}: "${text}" is not a valid duration.`, {
    hint: 'Write 500ms, 2s or 5m.',
  });
}
