/** The flags that say how patient a command is with locks of the application, and the lines that say whom it waits for. */
import type { Command, OptionValues } from '@commander-js/extra-typings';
import { formatDuration, parseDuration } from '../../duration.js';
import { CalendlySyncError } from '../../errors.js';
import type { MigrationEvent } from '../../migrations/lock.js';
import { describeHolder } from '../../migrations/lock-holders.js';
import type { CommandContext } from '../command.js';
import type { Progress } from '../terminal/progress.js';

export interface WaitFlags {
  lockTimeout?: string | undefined;
  maxWait?: string | undefined;
}

/** Adds `--lock-timeout` and `--max-wait`. */
export function withWaitOptions<A extends unknown[], O extends OptionValues, G extends OptionValues>(
  command: Command<A, O, G>,
) {
  return command
    .option(
      '--lock-timeout <duration>',
      'longest wait for one lock, and so the longest stall of others (default: 1s)',
    )
    .option('--max-wait <duration>', 'how long to keep trying for one file; then exit code 75 (default: 1m)');
}

/** What the flags say, as the migrations take it, with events told to the operator. Call `stop` when the work is over. */
export function patience({ output, signal }: CommandContext, flags: WaitFlags) {
  let progress: Promise<Progress> | null = null;
  return {
    attempt: {
      lockTimeoutMs: milliseconds('--lock-timeout', flags.lockTimeout),
      maxWaitMs: milliseconds('--max-wait', flags.maxWait),
      signal,
      onEvent(event: MigrationEvent) {
        if (event.kind === 'busy')
          output.note(`${event.file}: another process is migrating this database; waiting for it.`);
        else if (event.kind === 'blocked') output.note(describeBlocked(event), 'warn');
        else {
          progress ??= output.progress(event.text);
          void progress.then((running) => running.update(`${event.file}: ${event.text}`));
        }
      },
    },
    async stop() {
      (await progress)?.stop();
    },
  };
}

function describeBlocked({ file, holders, pauseMs }: MigrationEvent & { kind: 'blocked' }): string {
  const again = `trying again in ${formatDuration(pauseMs)}`;
  if (holders.length === 0) return `${file}: a table was locked for a moment; ${again}.`;
  return [
    `${file}: a table is in use; ${again}.`,
    ...holders.map((holder) => `  ${describeHolder(holder)}`),
  ].join('\n');
}

function milliseconds(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const short = /^(\d{1,6})ms$/.exec(text.trim());
  const ms = short ? Number(short[1]) : parseDuration(text);
  if (ms !== null && ms > 0) return ms;
  throw new CalendlySyncError('usage', `${flag}: "${text}" is no duration.`, {
    hint: 'Write 500ms, 2s or 5m.',
  });
}
