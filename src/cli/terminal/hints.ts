/** Commands in messages carry the operator's flags: without them they would reach another database. Pure. */
import type { ConfigFlags } from '../../config.js';
import { quoteForShell } from '../../health/problem.js';

/** Our name before a command. In a sentence about calendly-sync no command follows it. */
const COMMAND =
  /\bcalendly-sync (?=(?:migrate|rollback|sync|force-full|health|runs|doctor|verify|query|grant-read|clean-webhooks|webhook|account|erase)\b)/g;

/** Returns a function that inserts the given flags into each command of a text. */
export function createHintRewriter({ databaseUrl, schema, envFile }: ConfigFlags): (text: string) => string {
  const flags = [
    // The URL contains a password.
    databaseUrl === undefined ? '' : '--database-url "$DATABASE_URL" ',
    schema === undefined ? '' : `--schema ${quoteForShell(schema)} `,
    envFile === undefined ? '' : `--env-file ${quoteForShell(envFile)} `,
  ].join('');
  return (text) => text.replace(COMMAND, (name) => name + flags);
}
