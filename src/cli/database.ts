/** How a command gets its database: opened with progress, named on a terminal, closed whatever happens. */
import type { Database } from '../database/connection.js';
import type { CommandContext } from './command.js';
import type { Progress } from './terminal/progress.js';

export interface WithDatabaseOptions {
  /** False leaves a new embedded database without tables. */
  migrate?: boolean;
  /** False creates no embedded database; without one the command exits with 5. */
  create?: boolean;
  /** For a long-running process with many parallel requests. */
  service?: boolean;
}

/** Opens the database that the settings name, runs `work` with it, and closes it. */
export async function withDatabase<T>(
  { config, output, terminal, signal }: CommandContext,
  work: (database: Database) => Promise<T>,
  options: WithDatabaseOptions = {},
): Promise<T> {
  const { openDatabase } = await import('../open-database.js');
  let progress: Promise<Progress> | null = null;
  const stopProgress = async () => (await progress)?.stop();
  const database = await openDatabase(config, {
    ...options,
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
