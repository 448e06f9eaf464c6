/** Progress of long work on stderr: a spinner on a terminal, a line every 30 s elsewhere, or nothing. */
import { truncate } from './layout.js';
import type { OutputStream } from './terminal.js';

/** Progress of work that is running. `update` replaces its text. Stop it before printing what belongs after it. */
export interface Progress {
  update(text: string): void;
  stop(): void;
  /** Writes to a stream without mixing the spinner's line and the written one. */
  around(write: () => void): void;
}

const LINE_EVERY_MS = 30_000;

/** Progress that shows nothing. */
export function silentProgress(): Progress {
  return { update() {}, stop() {}, around: (write) => write() };
}

/** Progress for cron and logs: the latest text as a line of its own, every 30 s. */
export function lineProgress(text: string, printLine: (line: string) => void): Progress {
  let latest = text;
  const timer = setInterval(() => printLine(latest), LINE_EVERY_MS);
  timer.unref();
  return {
    update(next) {
      latest = next;
    },
    stop: () => clearInterval(timer),
    around: (write) => write(),
  };
}

/** A spinner. Only for a terminal that knows its columns: elsewhere ora prints endlessly. */
export async function spinnerProgress(text: string, stream: OutputStream): Promise<Progress> {
  const { default: ora } = await import('ora');
  const shorten = (line: string) => truncate(line, Math.max(10, (stream.columns ?? 80) - 3));
  const spinner = ora({
    text: shorten(text),
    stream: stream as NodeJS.WriteStream,
    discardStdin: false,
    hideCursor: true,
  }).start();
  return {
    update(next) {
      spinner.text = shorten(next);
    },
    stop() {
      spinner.stop();
    },
    around(write) {
      spinner.clear();
      write();
      if (spinner.isSpinning) spinner.render();
    },
  };
}
