/** `migrate`: brings the database to the newest schema. */
import type { Database } from '../../database/connection.js';
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
  const { withDatabase } = await import('../database.js');
  if (flags.status) return withDatabase(context, (database) => status(context, database), { create: false });
  // A new embedded database comes without tables here, so that this command says what it applies.
  return withDatabase(context, (database) => apply(context, database, flags), { migrate: false });
}

async function apply(
  { output, signal }: CommandContext,
  database: Database,
  flags: MigrateFlags,
): Promise<CommandResult> {
  const { migrate } = await import('../../database/migrations/migrate.js');
  const result = await migrate(database, { to: flags.to, signal });
  for (const { version, name, ms } of result.applied)
    output.result(`✅ ${version} ${name} (${ms} ms)`, 'good');
  if (result.applied.length === 0) output.result('Nothing to do: all migrations are applied.');
  return { document: result };
}

async function status({ output }: CommandContext, database: Database): Promise<CommandResult> {
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
