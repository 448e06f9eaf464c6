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
import type { Terminal } from '../terminal/terminal.js';

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
  const passedOn = Object.fromEntries(PASSED_ON.map((name) => [name, terminal.environment[name]]));
  /** The settings that a user would put into .env; later commands see what is added. */
  const settings: Record<string, string> = {
    CALENDLY_API_URL: calendly.url,
    CALENDLY_TOKEN: calendly.hosts[0]?.token ?? '',
    CALENDLY_SYNC_HOME: folder,
  };
  const execute = async (argv: string[], streams: Partial<Terminal>, until = signal) => {
    const environment = { ...passedOn, ...settings };
    const exitCode = await program(argv, { ...terminal, ...streams, environment, cwd: folder }, until);
    if (signal.aborted) throw new CalendlySyncError('stopped', 'The demo was stopped.');
    if (exitCode !== 0) throw demoFailed(`\`calendly-sync ${argv.join(' ')}\` exited with ${exitCode}`);
  };
  return {
    calendly,
    settings,
    folder,
    /** Shows and runs a command. */
    async run(argv: string[], until = signal): Promise<CommandStep> {
      const command = `calendly-sync ${argv.join(' ')}`;
      output.result(`\n$ ${command}`, 'strong');
      const stdout = capture();
      if (output.json) await execute([...argv, '--json'], { stdout }, until);
      else await execute(output.quiet ? [...argv, '--quiet'] : argv, {}, until);
      return { command, exit_code: 0, document: output.json ? JSON.parse(stdout.text()) : null };
    },
    /** Runs a command without showing it. @returns its JSON document */
    async runSilently(argv: string[]) {
      const stdout = capture();
      await execute([...argv, '--json'], { stdout, stderr: capture() });
      return JSON.parse(stdout.text());
    },
    async close() {
      await calendly.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function demoFailed(why: string): CalendlySyncError {
  return new CalendlySyncError('failed', `The demo failed: ${why}.`);
}

/** A stream that keeps what is written to it. */
function capture() {
  let all = '';
  return { write: (text: string) => (all += text), text: () => all };
}
