/**
 * Where the demo runs: a local Calendly in this process, a temporary folder with an embedded database, and the real
 * commands. The user's settings are not read, and nothing is left behind. Knows nothing of the demo's script.
 */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CalendlySyncError } from '../../errors.js';
import { startSandbox } from '../../sandbox/sandbox.js';
import type { CommandContext, RunProgram } from '../command.js';
import type { OutputStream } from '../terminal/terminal.js';

/** One command that was run, and its JSON document under --json. */
export interface CommandStep {
  command: string;
  exit_code: number;
  document: Record<string, unknown> | null;
}

/** Enough for two pages of a listing, and few enough to be copied in a second. */
const MEETINGS = 150;

/** What the commands see of the user's environment: how to draw, and nothing that names a database or a token. */
const PASSED_ON = ['TERM', 'NO_COLOR', 'CI', 'LANG'];

export type DemoEnvironment = Awaited<ReturnType<typeof createEnvironment>>;

/** Creates the environment. Close it in a `finally`. Each run throws if the command does not exit with 0. */
export async function createEnvironment({ output, terminal, signal }: CommandContext, program: RunProgram) {
  const calendly = await startSandbox({ events: MEETINGS });
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'calendly-sync-demo-')));
  /** The settings that a user would put into .env; later commands see what is added. */
  const settings: Record<string, string> = {
    CALENDLY_API_URL: calendly.url,
    CALENDLY_TOKEN: calendly.hosts[0]?.token ?? '',
    CALENDLY_SYNC_HOME: folder,
  };
  const passedOn = Object.fromEntries(PASSED_ON.map((name) => [name, terminal.environment[name]]));

  const execute = async (argv: string[], stdout: OutputStream, stderr: OutputStream, until = signal) => {
    const environment = { ...passedOn, ...settings };
    const exitCode = await program(argv, { ...terminal, stdout, stderr, environment, cwd: folder }, until);
    if (signal.aborted) throw new CalendlySyncError('stopped', 'The demo was stopped.');
    if (exitCode !== 0) throw demoFailed(`\`calendly-sync ${argv.join(' ')}\` exited with ${exitCode}`);
  };

  /** Shows and runs a command. */
  const run = async (argv: string[], until = signal): Promise<CommandStep> => {
    const command = `calendly-sync ${argv.join(' ')}`;
    output.result(`\n$ ${command}`, 'strong');
    const captured = capture();
    const flags = output.json ? ['--json'] : output.quiet ? ['--quiet'] : [];
    await execute([...argv, ...flags], output.json ? captured : terminal.stdout, terminal.stderr, until);
    return { command, exit_code: 0, document: output.json ? JSON.parse(captured.text()) : null };
  };

  /** Shows and runs a command that stays until `meanwhile` is over; then stops it as SIGTERM would. */
  const runWhile = async (argv: string[], meanwhile: () => Promise<void>): Promise<CommandStep> => {
    const stop = new AbortController();
    const running = run(argv, AbortSignal.any([signal, stop.signal]));
    // If the command fails at once, there is nothing to wait for.
    await Promise.race([meanwhile(), running]).finally(() => stop.abort());
    return running;
  };

  /** Runs a command without showing it. @returns its JSON document */
  const runSilently = async (argv: string[]) => {
    const stdout = capture();
    await execute([...argv, '--json'], stdout, capture());
    return JSON.parse(stdout.text());
  };

  const close = async () => {
    await calendly.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { calendly, settings, folder, run, runWhile, runSilently, close };
}

export function demoFailed(why: string): CalendlySyncError {
  return new CalendlySyncError('failed', `The demo failed: ${why}.`);
}

/** A stream that keeps what is written to it. */
function capture() {
  let all = '';
  return { write: (text: string) => (all += text), text: () => all };
}
