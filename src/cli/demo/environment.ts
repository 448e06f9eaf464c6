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
    DATABASE_URL: 'embedded',
    CALENDLY_SYNC_HOME: folder,
  };
  return {
    calendly,
    settings,
    folder,
    /** Shows and runs a command. */
    async run(argv: string[], until = signal): Promise<CommandStep> {
      const command = `calendly-sync ${argv.join(' ')}`;
      output.result(`\n$ ${command}`, 'strong');
      let printed = '';
      const stdout = output.json ? { write: (text: string) => (printed += text) } : terminal.stdout;
      const flags = output.json ? ['--json'] : output.quiet ? ['--quiet'] : [];
      const streams = { ...terminal, stdout, environment: { ...passedOn, ...settings }, cwd: folder };
      const exitCode = await program([...argv, ...flags], streams, until);
      if (signal.aborted) throw new CalendlySyncError('stopped', 'The demo was stopped.');
      if (exitCode !== 0) throw demoFailed(`\`${command}\` exited with ${exitCode}`);
      return { command, exit_code: 0, document: output.json ? JSON.parse(printed) : null };
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
