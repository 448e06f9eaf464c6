/**
 * The one output port: commands say what happened, this decides how it looks (terminal, plain lines, one JSON document).
 * Everything that is printed passes through `show`, which makes control characters harmless and takes secrets out.
 */
import { Chalk } from 'chalk';
import type { ErrorReport } from '../../errors.js';
import { lineProgress, type Progress, silentProgress, spinnerProgress } from './progress.js';
import { harmless, withoutSecrets } from './sanitize.js';
import { type Cell, drawTable, plainTable, type Tone } from './table.js';
import type { OutputStream, Terminal } from './terminal.js';

/** What a command may say. Handlers never know the format. */
export interface Output {
  /** A result, on stdout. Nothing under --json and --quiet. */
  result(text: string, tone?: Tone): void;
  /** Rows under a head, on stdout: a drawn table on a terminal, tab-separated lines elsewhere. */
  table(head: string[], rows: (string | Cell)[][]): Promise<void>;
  /** A remark on stderr. Nothing under --quiet. */
  note(text: string, tone?: Tone): void;
  /** A remark on stderr that is only for --verbose. */
  detail(text: string): void;
  /** Something the operator should act on, on stderr; under --quiet too. */
  warn(text: string): void;
  /** Shows on stderr that long work goes on. */
  progress(text: string): Promise<Progress>;
  /** An error with its hint, on stderr; under --json it stands in the document instead. */
  error(report: ErrorReport): void;
  /** The one JSON document, on stdout; nothing without --json. */
  document(document: object): void;
  /** Adds values that must never be shown, from here on. */
  hide(secrets: readonly string[]): void;
  /** Lets values be shown after all: the tokens of a sandbox are made to be read. */
  reveal(values: readonly string[]): void;
  /** --json was given: no questions, no extra work for the eye. */
  readonly json: boolean;
  /** --quiet was given. */
  readonly quiet: boolean;
}

export interface OutputOptions {
  json: boolean;
  quiet: boolean;
  verbose: boolean;
}

/** Makes the output port of one command. */
export function createOutput(terminal: Terminal, options: OutputOptions): Output {
  const { stdout, stderr, environment } = terminal;
  let secrets: string[] = [];
  const show = (text: string) => harmless(withoutSecrets(text, secrets));
  const paintOut = painter(stdout, environment);
  const paintErr = painter(stderr, environment);
  let running: Progress = silentProgress();
  const print = (stream: OutputStream, text: string) => running.around(() => stream.write(`${text}\n`));
  const silent = options.json || options.quiet;

  return {
    json: options.json,
    quiet: options.quiet,
    result(text, tone) {
      if (!silent) print(stdout, paintOut(show(text), tone));
    },
    async table(head, rows) {
      if (silent) return;
      const cells = rows.map((row) =>
        row.map((cell) =>
          typeof cell === 'string' ? { text: show(cell) } : { ...cell, text: show(cell.text) },
        ),
      );
      const columns = stdout.columns ?? 80;
      print(stdout, stdout.isTTY ? await drawTable(head, cells, columns, paintOut) : plainTable(head, cells));
    },
    note(text, tone) {
      if (!options.quiet) print(stderr, paintErr(show(text), tone));
    },
    detail(text) {
      if (options.verbose && !options.quiet) print(stderr, paintErr(show(text), 'dim'));
    },
    warn(text) {
      print(stderr, paintErr(show(text), 'warn'));
    },
    async progress(text) {
      running.stop();
      const spins = stderr.isTTY && stderr.columns && !environment.CI && environment.TERM !== 'dumb';
      if (silent) running = silentProgress();
      else if (spins) running = await spinnerProgress(show(text), stderr);
      else running = lineProgress(show(text), (line) => stderr.write(`${line}\n`));
      const mine = running;
      return {
        update: (next) => mine.update(show(next)),
        around: mine.around,
        stop() {
          mine.stop();
          if (running === mine) running = silentProgress();
        },
      };
    },
    error(report) {
      running.stop();
      if (options.json) return;
      print(stderr, paintErr(`✖ ${show(report.message)}`, 'bad'));
      if (report.hint) print(stderr, `  ${show(report.hint).replaceAll('\n', '\n  ')}`);
    },
    document(document) {
      running.stop();
      if (options.json) stdout.write(`${withoutSecrets(JSON.stringify(document, null, 2), secrets)}\n`);
    },
    hide(more) {
      // Inside a JSON document a secret stands in its escaped form.
      for (const secret of more) secrets.push(secret, JSON.stringify(secret).slice(1, -1));
    },
    reveal(values) {
      secrets = secrets.filter((secret) => !values.includes(secret));
    },
  };
}

/** Colours for one stream. chalk ignores NO_COLOR, so the level is decided here, for each stream apart. */
function painter(stream: OutputStream, environment: Terminal['environment']) {
  const chalk = new Chalk({ level: wantsColour(stream, environment) ? 1 : 0 });
  const styles = {
    good: chalk.green,
    bad: chalk.red,
    warn: chalk.yellow,
    dim: chalk.dim,
    strong: chalk.bold,
  };
  return (text: string, tone: Tone | undefined) => (tone ? styles[tone](text) : text);
}

function wantsColour(stream: OutputStream, environment: Terminal['environment']): boolean {
  if (environment.NO_COLOR) return false;
  return Boolean(stream.isTTY) && environment.TERM !== 'dumb';
}
