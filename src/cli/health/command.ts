/** `health`: one screen that says whether the sync works, and an exit code for monitors. */
import { Option } from '@commander-js/extra-typings';
import { commandAction, type DefineCommand } from '../command.js';
import { collect, duration } from '../option-parsers.js';

export const health: DefineCommand = (program, session) => {
  program
    .command('health')
    .description('report whether the sync works; exits 0 when healthy, 4 when not')
    .option('--user <id-or-email>', 'only this user of the database (repeatable)', collect)
    .addOption(
      new Option('--max-age <duration>', 'max age of the last complete sync: 90s, 30m, 36h, 30d')
        .argParser(duration)
        .default(duration('24h'), '24h'),
    )
    .option('--offline', 'ask only the database, not Calendly')
    .option('--prometheus', 'print metrics in the Prometheus text format')
    .addHelpText('after', EXAMPLES)
    .action(commandAction(session, async () => (await import('./run.js')).runHealth));
};

const EXAMPLES = `
Examples:
  $ calendly-sync health
  $ calendly-sync health --user dana@example.com --max-age 2h
  $ calendly-sync health --prometheus > /var/lib/node_exporter/calendly_sync.prom`;
