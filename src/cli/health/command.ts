/** `health`: one screen that says whether the sync works, and an exit code for monitors. */
import { Option } from '@commander-js/extra-typings';
import { CalendlySyncError } from '../../errors.js';
import { commandAction, type DefineCommand } from '../command.js';
import { withExistingDatabase } from '../database.js';
import { EXIT } from '../exit-codes.js';
import { duration, users } from '../option-parsers.js';
import { showAttempt } from '../show-attempt.js';

export const health: DefineCommand = (program, session) => {
  program
    .command('health')
    .description('report whether the sync works; exits 0 when healthy, 4 when not')
    .option('--user <id-or-email>', 'only this user of the database (repeatable)', users)
    .addOption(
      new Option('--max-age <duration>', 'max age of the last complete sync: 90s, 30m, 36h, 30d')
        .argParser(duration)
        .default(duration('24h'), '24h'),
    )
    .option('--offline', 'ask only the database, not Calendly')
    .option('--prometheus', 'print metrics in the Prometheus text format')
    .addHelpText('after', EXAMPLES)
    .action(
      commandAction(session, async (context, { user, maxAge: maxAgeMs, offline = false, prometheus }) => {
        const { config, output, terminal, signal } = context;
        if (prometheus && output.json) {
          throw new CalendlySyncError('usage', "--prometheus and --json can't be used together.");
        }
        const { healthReport } = await import('../../health/report.js');
        const options = {
          config,
          users: user ?? [],
          maxAgeMs,
          offline,
          signal,
          onAttempt: showAttempt(output),
        };
        const report = await withExistingDatabase(context, (database) =>
          healthReport({ database, ...options }),
        );
        if (prometheus) {
          const { prometheusText } = await import('../../health/prometheus.js');
          output.result(prometheusText(report).trimEnd());
        } else {
          const { showHealth } = await import('./output.js');
          await showHealth(output, report, terminal.stdout.isTTY === true);
        }
        return { document: report, exitCode: report.healthy ? EXIT.ok : EXIT.checkFailed };
      }),
    );
};

const EXAMPLES = `
Examples:
  $ calendly-sync health
  $ calendly-sync health --user dana@example.com --max-age 2h
  $ calendly-sync health --prometheus > /var/lib/node_exporter/calendly_sync.prom`;
