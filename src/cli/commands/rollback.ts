/** `rollback`: undoes the newest migrations. */
import { CalendlySyncError } from '../../errors.js';
import {
  type CommandContext,
  type CommandResult,
  type DefineCommand,
  runCommand,
  withSharedOptions,
} from '../command.js';

interface RollbackFlags {
  to?: string | undefined;
  yes?: true | undefined;
}

export const rollback: DefineCommand = {
  name: 'rollback',
  define(program, session) {
    withSharedOptions(program.command('rollback'))
      .description('undo the newest migration')
      .option('--to <version>', 'undo all above this version; 0 undoes everything')
      .option('--yes', 'do not ask')
      .action((options) => runCommand(session, 'rollback', options, (context) => run(context, options)));
  },
};

async function run(context: CommandContext, flags: RollbackFlags): Promise<CommandResult> {
  const { output, signal } = context;
  if (!flags.yes) {
    throw new CalendlySyncError('usage', 'A rollback drops tables and columns.', {
      hint: 'Add --yes to do it.',
    });
  }
  const [{ withDatabase }, { rollback }] = await Promise.all([
    import('../database.js'),
    import('../../database/migrations/rollback.js'),
  ]);
  const result = await withDatabase(context, (database) => rollback(database, { to: flags.to, signal }), {
    create: false,
  });
  for (const { version, name } of result.rolled_back) output.result(`↩ ${version} ${name}`);
  if (result.rolled_back.length === 0) output.result('Nothing to roll back.');
  return { document: result };
}
