/** The command line in this process: for tests of what a command does, where a process of its own adds nothing. */
import { Readable } from 'node:stream';
import { run } from '../../src/cli/run.js';

export interface CliOptions {
  cwd?: string;
  /** Width of a terminal for both streams; without it neither is a terminal. */
  columns?: number;
  signal?: AbortSignal;
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
  { cwd = '/nonexistent', columns, signal = new AbortController().signal }: CliOptions = {},
): Promise<CliResult> {
  const [stdout, stderr] = [recorder(columns), recorder(columns)];
  const stdin = Readable.from([]);
  const code = await run(argv, { stdout, stderr, stdin, environment, cwd }, signal);
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

/** The same with --json. @returns the parsed document as well */
export async function runJson(argv: readonly string[], environment: Record<string, string> = {}) {
  const result = await runCli([...argv, '--json'], environment);
  return { ...result, document: JSON.parse(result.stdout) };
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
