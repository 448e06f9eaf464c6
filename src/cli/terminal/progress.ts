/** Progress of long work on stderr: a spinner on a terminal, a line every 30 s elsewhere, nothing when told to be quiet. */
import type { OutputStream } from './terminal.js';

/** A running piece of work. `update` replaces its text. Stop it before printing what belongs after it. */
export interface Progress {
  update(text: string): void;
  stop(): void;
  /** Runs a write to a stream in between, so that the spinner's line and the written one do not run into each other. */
  around(write: () => void): void;
}

const LINE_EVERY_MS = 30_000;

/** Progress that shows nothing. */
export function silentProgress(): Progress {
  return { update() {}, stop() {}, around: (write) => write() };
}

/** Progress for cron and logs: the newest text as a line of its own, once every 30 s. */
export function lineProgress(text: string, printLine: (line: string) => void): Progress {
  let newest = text;
  const timer = setInterval(() => printLine(newest), LINE_EVERY_MS);
  timer.unref();
  return {
    update(next) {
      newest = next;
    },
    stop: () => clearInterval(timer),
    around: (write) => write(),
  };
}

/** A spinner. Only for a terminal that knows its columns: elsewhere ora prints without end. */
export async function spinnerProgress(text: string, stream: OutputStream): Promise<Progress> {
  const { default: ora } = await import('ora');
  const shorten = (line: string) => line.slice(0, Math.max(10, (stream.columns ?? 80) - 3));
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
