/** `migrate`: brings the database to the newest schema. */
import { EXIT } from '../../errors.js';
import {
  type CommandContext,
  type CommandResult,
  type DefineCommand,
  runCommand,
  withSharedOptions,
} from '../command.js';

interface MigrateFlags {
  to?: string | undefined;
  status?: true | undefined;
}

export const migrate: DefineCommand = {
  name: 'migrate',
  define(program, session) {
    withSharedOptions(program.command('migrate'))
      .description('apply the migrations that the database lacks')
      .option('--to <version>', 'stop after this version')
      .option('--status', 'show what is applied and what is pending; exit code 4 when something is')
      .action((options) => runCommand(session, 'migrate', options, (context) => run(context, options)));
  },
};

async function run(context: CommandContext, flags: MigrateFlags): Promise<CommandResult> {
  const { openServer } = await import('../../database/connection.js');
  const database = openServer(context.config.databaseUrl ?? '');
  try {
    if (flags.status) return await status(context, database);
    const { migrate } = await import('../../database/migrations/migrate.js');
    const result = await migrate(database, { to: flags.to, signal: context.signal });
    for (const { version, name, ms } of result.applied)
      context.output.result(`✅ ${version} ${name} (${ms} ms)`, 'good');
    if (result.applied.length === 0) context.output.result('Nothing to do: all migrations are applied.');
    return { document: result };
  } finally {
    await database.close();
  }
}

async function status(
  { output }: CommandContext,
  database: import('../../database/connection.js').Database,
): Promise<CommandResult> {
  const { migrationStatus } = await import('../../database/migrations/status.js');
  const found = await migrationStatus(database);
  await output.table(
    ['version', 'name', 'state'],
    [
      ...found.applied.map(({ version, name, applied_at }) => [
        version,
        name,
        `applied ${applied_at.toISOString()}`,
      ]),
      ...found.pending.map(({ version, name }) => [
        version,
        name,
        { text: 'pending', tone: 'warn' as const },
      ]),
    ],
  );
  return {
    document: { applied: found.applied, pending: found.pending, drift: found.drift },
    exitCode: found.pending.length > 0 ? EXIT.checkFailed : EXIT.ok,
  };
}
