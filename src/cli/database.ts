/** How a command gets its database: opened with progress, named on a terminal, closed whatever happens. */
import type { Database } from '../database/connection.js';
import type { OpenOptions } from '../open-database.js';
import type { CommandContext } from './command.js';
import type { Progress } from './terminal/progress.js';

/** Opens the database that the settings name, runs `work` with it, and closes it. */
export async function withDatabase<T>(
  { config, output, terminal, signal }: CommandContext,
  work: (database: Database) => Promise<T>,
  options: Pick<OpenOptions, 'migrate' | 'create' | 'service'> = {},
): Promise<T> {
  const { openDatabase } = await import('../open-database.js');
  let progress: Promise<Progress> | null = null;
  const stopProgress = async () => (await progress)?.stop();
  const database = await openDatabase(config, {
    ...options,
    // On a terminal the notice of a new database is seen.
    create: options.create ?? (terminal.stderr.isTTY && !output.json && !output.quiet ? true : undefined),
    signal,
    onNotice: (text) => output.note(text, 'dim'),
    onProgress(text) {
      progress ??= output.progress(text);
    },
  }).finally(stopProgress);
  try {
    if (database.kind === 'server' && terminal.stderr.isTTY && !output.json) {
      const schema = config.schema === null ? '' : `, schema ${config.schema}`;
      output.note(`Database: ${database.label}${schema}`, 'dim');
    }
    return await work(database);
  } finally {
    await database.close();
  }
}

/** The same for a command that creates no embedded database. */
export function withExistingDatabase<T>(
  context: CommandContext,
  work: (database: Database) => Promise<T>,
): Promise<T> {
  return withDatabase(context, work, { create: false });
}
