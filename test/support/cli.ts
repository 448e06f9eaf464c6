/** The command line in this process: for tests of what a command does, where a process of its own adds nothing. */
import { PassThrough, Readable } from 'node:stream';
import { run } from '../../src/cli/run.js';

export interface CliOptions {
  cwd?: string;
  /** Width of a terminal for both streams; without it neither is a terminal. */
  columns?: number;
  signal?: AbortSignal;
  /** What stdin contains. */
  input?: string;
}

export interface CliResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `calendly-sync ARGV` to its end; only the given settings are in its environment. */
export async function runCli(
  argv: readonly string[],
  environment: Record<string, string> = {},
  { cwd = '/nonexistent', columns, signal = new AbortController().signal, input }: CliOptions = {},
): Promise<CliResult> {
  const [stdout, stderr] = [recorder(columns), recorder(columns)];
  const stdin = Readable.from(input === undefined ? [] : [input]);
  const code = await run(argv, { stdout, stderr, stdin, environment, cwd }, signal);
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

/** The same with --json. @returns the parsed document as well */
export async function runJson(
  argv: readonly string[],
  environment: Record<string, string> = {},
  options: CliOptions = {},
) {
  const result = await runCli([...argv, '--json'], environment, options);
  return { ...result, document: JSON.parse(result.stdout) };
}

/** Starts `calendly-sync ARGV`, to be answered while it runs. @param isTTY it runs on a terminal */
export function startCli(
  argv: readonly string[],
  environment: Record<string, string>,
  { isTTY = false } = {},
) {
  const [stdout, stderr] = [recorder(isTTY ? 100 : undefined), recorder(isTTY ? 100 : undefined)];
  const stdin = Object.assign(new PassThrough(), isTTY ? { isTTY, setRawMode: () => {} } : {});
  const terminal = { stdout, stderr, stdin, environment, cwd: '/nonexistent' };
  const ended = run(argv, terminal, new AbortController().signal).then((code) => {
    return { code, stdout: stdout.text(), stderr: stderr.text() };
  });
  return { ended, shown: () => stdout.text() + stderr.text(), type: (text: string) => stdin.write(text) };
}

function recorder(columns: number | undefined) {
  let all = '';
  return {
    ...(columns === undefined ? {} : { isTTY: true, columns }),
    write(text: string) {
      all += text;
      return true;
    },
    text: () => all,
  };
}
