/** `migrate --status`: what is applied, what is pending, and what somebody changed since. */
import type { Database } from '../../database/connection.js';
import { ownFolder } from '../../migrations/files.js';
import { migrationStatus } from '../../migrations/status.js';
import type { CommandContext, CommandResult } from '../command.js';
import { EXIT } from '../exit-codes.js';

/** Shows the status; exit code 4 when something is pending, edited or drifted. */
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
        `${applied_at.toISOString().slice(0, 19).replace('T', ' ')} UTC`,
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
  for (const version of new Set(drift.map((item) => item.version))) {
    const name = applied.find((row) => row.version === version)?.name;
    if (name)
      output.note(
        `  To make it right, run the file again; it harms nothing: psql -f ${ownFolder}/${version}_${name}.up.sql`,
      );
  }
  if (pending.length > 0) output.note('To apply what is pending: calendly-sync migrate');
  const amiss = pending.length + files.length + drift.length > 0;
  return { document: status, exitCode: amiss ? EXIT.checkFailed : EXIT.ok };
}
