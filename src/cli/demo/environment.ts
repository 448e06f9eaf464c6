/**
 * Where the demo plays: a local Calendly in this process, a temporary folder with an embedded database, and the real
 * commands run against them. Nothing of the user's settings is seen, nothing is left behind. Tells no story.
 */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CalendlySyncError } from '../../errors.js';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.js';
import type { CommandContext } from '../command.js';
import { run } from '../run.js';
import type { OutputStream, Terminal } from '../terminal/terminal.js';

/** One command that was run: what was typed, how it ended, and its JSON document. */
export interface Ran {
  command: string;
  exit_code: number;
  document: Record<string, unknown> | null;
  /** What it printed; empty under --json. */
  text: string;
}

export interface Stage {
  calendly: Sandbox;
  /** The settings that a user would put into .env. */
  settings: Record<string, string>;
  folder: string;
  /**
   * Shows and runs `calendly-sync …words`.
   * @throws CalendlySyncError when it exits with anything but 0
   */
  command(words: string[]): Promise<Ran>;
  /**
   * Shows and runs a command that stays, while `meanwhile` goes on; then stops it as SIGTERM would.
   * @throws as `command`
   */
  commandWhile(words: string[], meanwhile: () => Promise<void>): Promise<Ran>;
  /** Adds a setting for the commands to come. */
  set(name: string, value: string): void;
  /** Runs it unseen, for its document. @throws as `command` */
  measure(words: string[]): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

/** What may reach the commands besides the demo's own settings: how to draw, and nothing that names a database or a token. */
const KEPT = ['TERM', 'NO_COLOR', 'CI', 'LANG'];

/** Sets the stage up. Close it whatever happens. */
export async function createStage(context: CommandContext, meetings: number): Promise<Stage> {
  const { output, terminal, signal } = context;
  const calendly = await startSandbox({ events: meetings });
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'calendly-sync-demo-')));
  const settings = {
    CALENDLY_API_URL: calendly.url,
    CALENDLY_TOKEN: calendly.hosts[0]?.token ?? '',
    CALENDLY_SYNC_HOME: folder,
  };
  const kept = KEPT.map((name) => [name, terminal.environment[name]]);
  const environment: Record<string, string | undefined> = { ...Object.fromEntries(kept), ...settings };
  const silent = { write: () => true };
  const perform = async (
    words: string[],
    streams: Pick<Terminal, 'stdout' | 'stderr'>,
    until: AbortSignal = signal,
  ): Promise<number> => {
    const exitCode = await run(words, { ...terminal, ...streams, environment, cwd: folder }, until);
    if (signal.aborted) throw new CalendlySyncError('stopped', 'The demo was stopped.');
    if (exitCode === 0) return exitCode;
    const what = `calendly-sync ${words.join(' ')}`;
    throw new CalendlySyncError('failed', `The demo failed: \`${what}\` ended with exit code ${exitCode}.`);
  };
  const show = async (words: string[], until: AbortSignal): Promise<Ran> => {
    const command = `calendly-sync ${words.join(' ')}`;
    output.result(`\n$ ${command}`, 'strong');
    const stdout = heard(terminal.stdout, !output.json);
    const flags = [...(output.json ? ['--json'] : []), ...(output.quiet ? ['--quiet'] : [])];
    const streams = { stdout, stderr: terminal.stderr };
    const exitCode = await perform([...words, ...flags], streams, until);
    if (!output.json) return { command, exit_code: exitCode, document: null, text: stdout.text() };
    return { command, exit_code: exitCode, document: JSON.parse(stdout.text()), text: '' };
  };
  return {
    calendly,
    settings,
    folder,
    command: (words) => show(words, signal),
    async commandWhile(words, meanwhile) {
      const stop = new AbortController();
      const running = show(words, AbortSignal.any([signal, stop.signal]));
      try {
        // A command that fails at once leaves nothing to wait for.
        await Promise.race([meanwhile(), running.then(() => {})]);
      } finally {
        stop.abort();
      }
      return running;
    },
    set(name, value) {
      environment[name] = value;
    },
    async measure(words) {
      const stdout = heard(silent, false);
      await perform([...words, '--json'], { stdout, stderr: silent });
      return JSON.parse(stdout.text()) as Record<string, unknown>;
    },
    async close() {
      await calendly.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A stream that remembers what is written to it, and passes it on if it is to be seen. */
function heard(stream: OutputStream, seen: boolean): OutputStream & { text(): string } {
  let text = '';
  return {
    ...(stream.isTTY ? { isTTY: true } : {}),
    ...(stream.columns ? { columns: stream.columns } : {}),
    write(more) {
      text += more;
      return seen ? stream.write(more) : true;
    },
    text: () => text,
  };
}
