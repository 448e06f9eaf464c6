/**
 * The one output port: commands say what happened, this decides how it looks (terminal, plain lines, JSON document).
 * Everything printed passes through `safe`, which escapes control characters and removes secrets.
 */
import { Chalk } from 'chalk';
import type { ConfigFlags, Environment } from '../../config.js';
import type { ErrorReport } from '../../errors.js';
import { createHintRewriter } from './hints.js';
import { wrap } from './layout.js';
import { lineProgress, type Progress, silentProgress, spinnerProgress } from './progress.js';
import { escapeControlCharacters, redactSecrets } from './sanitize.js';
import { type Cell, drawTable, plainTable, type TableLayout, type Tone } from './table.js';
import type { OutputStream, Terminal } from './terminal.js';

/** A line with a command stays whole: a broken one could not be copied. */
const COMMAND = /[→$:] (calendly-sync|curl|psql) /;

/** What a command may say. Handlers never know the format. */
export interface Output {
  /** A result, on stdout. Nothing under --json and --quiet. */
  result(text: string, tone?: Tone): void;
  /** Rows under a head, on stdout: drawn on a terminal, tab-separated elsewhere. */
  table(head: string[], rows: (string | Cell)[][], layout?: TableLayout): Promise<void>;
  /** A file for another program, on stdout as it is, but for secrets; --quiet prints it too. Nothing under --json. */
  raw(text: string): void;
  /** A remark on stderr. Nothing under --quiet. */
  note(text: string, tone?: Tone): void;
  /** A remark on stderr that is only for --verbose. */
  detail(text: string): void;
  /** Something the operator should act on, on stderr; under --quiet too. */
  warn(text: string): void;
  /** Shows on stderr that long work goes on. */
  progress(text: string): Promise<Progress>;
  /** An error with its hint, on stderr; under --json it is in the document instead. */
  error(report: ErrorReport): void;
  /**
   * One element of a list in the JSON document, written at once, so that a long list takes no memory. The document that
   * follows completes it. Without a value the list stays empty.
   */
  item(list: string, value?: object): void;
  /** The one JSON document, on stdout; nothing without --json. */
  document(document: object): void;
  /** Adds values that must never be printed from here on. */
  redact(secrets: readonly string[]): void;
  /** --json was given: no questions, no extra work for the eye. */
  readonly json: boolean;
  /** --quiet was given. */
  readonly quiet: boolean;
  /** The flags that it was created with. */
  readonly options: OutputOptions;
}

/** The shared flags of a command, as far as they change what is printed. */
export interface OutputOptions extends ConfigFlags {
  json?: boolean | undefined;
  quiet?: boolean | undefined;
  verbose?: boolean | undefined;
}

/** Creates the output port of one command. */
export function createOutput(terminal: Terminal, options: OutputOptions): Output {
  const { stdout, stderr, environment } = terminal;
  const { json = false, quiet = false, verbose = false } = options;
  const withFlags = createHintRewriter(options);
  const secrets: string[] = [];
  const safe = (text: string) => escapeControlCharacters(redactSecrets(text, secrets));
  const paintOut = painter(stdout, environment);
  const paintErr = painter(stderr, environment);
  let running: Progress = silentProgress();
  const print = (stream: OutputStream, text: string) => running.around(() => stream.write(`${text}\n`));
  const fitTo = ({ isTTY, columns }: OutputStream, text: string) => {
    const fitLine = (line: string) =>
      COMMAND.test(line) ? line : wrap(line, columns ?? 80, { indent: '  ' });
    return isTTY && columns ? text.split('\n').flatMap(fitLine).join('\n') : text;
  };
  const remark = (text: string, tone?: Tone) =>
    print(stderr, paintErr(fitTo(stderr, safe(withFlags(text))), tone));
  const silent = json || quiet;
  /** Elements of the list that the document begins with; null: it has none. */
  let items: number | null = null;
  const text = (document: object, indent: number) => {
    const replacer = (key: string, value: unknown) =>
      key === 'hint' && typeof value === 'string' ? withFlags(value) : value;
    return redactSecrets(JSON.stringify(document, replacer, indent), secrets);
  };

  return {
    json,
    quiet,
    options,
    result(text, tone) {
      if (silent) return;
      // Several lines are a script or metrics: breaking those would change them.
      const lines = text.includes('\n') ? safe(text) : fitTo(stdout, safe(withFlags(text)));
      print(stdout, paintOut(lines, tone));
    },
    raw(text) {
      if (!json) running.around(() => stdout.write(redactSecrets(text, secrets)));
    },
    async table(head, rows, layout = {}) {
      if (silent) return;
      const cells = rows.map((row) =>
        row.map((cell) =>
          typeof cell === 'string' ? { text: safe(cell) } : { ...cell, text: safe(cell.text) },
        ),
      );
      // Some terminals report a width of 0.
      const columns = stdout.columns || 80;
      const drawn = stdout.isTTY
        ? await drawTable(head, cells, columns, paintOut, layout)
        : plainTable(head, cells);
      print(stdout, drawn);
    },
    note(text, tone) {
      if (!quiet) remark(text, tone);
    },
    detail(text) {
      if (verbose && !quiet) print(stderr, paintErr(safe(text), 'dim'));
    },
    warn(text) {
      remark(text, 'warn');
    },
    async progress(text) {
      running.stop();
      const spins = stderr.isTTY && stderr.columns && !environment.CI && environment.TERM !== 'dumb';
      if (silent) running = silentProgress();
      else if (spins) running = await spinnerProgress(safe(text), stderr);
      else running = lineProgress(safe(text), (line) => stderr.write(`${line}\n`));
      const { update, ...current } = running;
      return { ...current, update: (next) => update(safe(next)) };
    },
    error({ message, hint }) {
      running.stop();
      if (json) return;
      remark(`✖ ${message}`, 'bad');
      if (hint) remark(`  ${hint.replaceAll('\n', '\n  ')}`);
    },
    item(list, value) {
      if (!json) return;
      if (items === null) stdout.write(`{\n  ${JSON.stringify(list)}: [`);
      items ??= 0;
      if (value) stdout.write(`${items++ > 0 ? ',' : ''}\n    ${text(value, 0)}`);
    },
    document(document) {
      running.stop();
      if (!json) return;
      const whole = text(document, 2);
      stdout.write(items === null ? `${whole}\n` : `\n  ],${whole.slice(1)}\n`);
    },
    redact(more) {
      // Inside a JSON document a secret is in its escaped form.
      for (const secret of more) secrets.push(secret, JSON.stringify(secret).slice(1, -1));
    },
  };
}

/** Colors for one stream. chalk ignores NO_COLOR, so the level is decided here, for each stream on its own. */
function painter(stream: OutputStream, environment: Environment) {
  const chalk = new Chalk({ level: wantsColor(stream, environment) ? 1 : 0 });
  const { green: good, red: bad, yellow: warn, dim, bold: strong } = chalk;
  const styles = { good, bad, warn, dim, strong };
  return (text: string, tone: Tone | undefined) => (tone ? styles[tone](text) : text);
}

function wantsColor({ isTTY = false }: OutputStream, { NO_COLOR, FORCE_COLOR, TERM }: Environment): boolean {
  if (NO_COLOR) return false;
  return FORCE_COLOR ? FORCE_COLOR !== '0' : isTTY && TERM !== 'dumb';
}
