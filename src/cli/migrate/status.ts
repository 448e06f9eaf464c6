/** `migrate --status`: what is applied, what is pending, and what has changed since. */
import type { Database } from '../../database/connection.js';
import { formatUtc } from '../../duration.js';
import { migrationStatus } from '../../migrations/status.js';
import type { CommandContext, CommandResult } from '../command.js';
import { EXIT } from '../exit-codes.js';

/** Shows the status; exit code 4 if something is pending, edited or drifted. */
export async function showStatus({ output }: CommandContext, database: Database): Promise<CommandResult> {
  const status = await migrationStatus(database);
  const { applied, pending, files, drift } = status;
  await output.table(
    ['version', 'name', 'state', 'since'],
    [
      ...applied.map(({ version, name, applied_at }) => [
        version,
        name,
        { text: 'applied', tone: 'good' as const },
        formatUtc(applied_at),
      ]),
      ...pending.map(({ version, name }) => [version, name, { text: 'pending', tone: 'warn' as const }, '']),
    ],
  );
  for (const { problem, fix } of files) {
    output.result(`✖ ${problem}`, 'bad');
    output.note(`  ${fix}`);
  }
  for (const { version, object, problem } of drift)
    output.result(`✖ ${version}: ${object} ${problem}`, 'bad');
  if (drift.length > 0)
    output.note('  To fix this: calendly-sync migrate (it runs these files again; safe to repeat)');
  if (pending.length > 0) output.note('To apply what is pending: calendly-sync migrate');
  const incomplete = pending.length + files.length + drift.length > 0;
  return { document: status, exitCode: incomplete ? EXIT.checkFailed : EXIT.ok };
}
