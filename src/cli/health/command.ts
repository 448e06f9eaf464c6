/** `health`: one screen that says whether the sync works, and an exit code that says it to a monitor. */
import { parseDuration } from '../../duration.js';
import { CalendlySyncError } from '../../errors.js';
import {
  type CommandContext,
  type CommandResult,
  type DefineCommand,
  runCommand,
  withSharedOptions,
} from '../command.js';
import { EXIT } from '../exit-codes.js';
import { collect } from '../sync/command.js';

interface HealthFlags {
  user: string[];
  maxAge: string;
  offline?: true | undefined;
  prometheus?: true | undefined;
  json?: true | undefined;
}

export const health: DefineCommand = {
  name: 'health',
  define(program, session) {
    withSharedOptions(program.command('health'))
      .description('say whether the sync works; exit code 0 when healthy, 4 when not')
      .option(
        '--user <id-or-email>',
        'only this user of the database (may be repeated)',
        collect,
        [] as string[],
      )
      .option('--max-age <duration>', 'how old the last complete sync may be: 90s, 30m, 36h, 30d', '24h')
      .option('--offline', 'ask the database only, not Calendly')
      .option('--prometheus', 'print metrics in the Prometheus text format')
      .addHelpText(
        'after',
        '\nExamples:\n  $ calendly-sync health\n  $ calendly-sync health --user dana@example.com --max-age 2h' +
          '\n  $ calendly-sync health --prometheus > /var/lib/node_exporter/calendly_sync.prom',
      )
      .action((options) => runCommand(session, 'health', options, (context) => run(context, options)));
  },
};

async function run(context: CommandContext, flags: HealthFlags): Promise<CommandResult> {
  const { output, terminal } = context;
  const maxAgeMs = parseDuration(flags.maxAge);
  if (maxAgeMs === null || maxAgeMs === 0) {
    throw new CalendlySyncError('usage', `--max-age: "${flags.maxAge}" is no duration.`, {
      hint: 'Write 90s, 30m, 36h or 30d.',
    });
  }
  if (flags.prometheus && flags.json) {
    throw new CalendlySyncError('usage', '--prometheus and --json exclude each other.');
  }
  const [{ withDatabase }, { healthReport }, { showAttempt }] = await Promise.all([
    import('../database.js'),
    import('../../health/report.js'),
    import('../client.js'),
  ]);
  const report = await withDatabase(
    context,
    (database) =>
      healthReport({
        database,
        config: context.config,
        users: flags.user,
        maxAgeMs,
        offline: flags.offline === true,
        signal: context.signal,
        onAttempt: (attempt) => showAttempt(output, attempt),
      }),
    { create: false },
  );
  if (flags.prometheus) {
    const { prometheusText } = await import('../../health/prometheus.js');
    output.result(prometheusText(report).trimEnd());
  } else {
    const { showHealth } = await import('./output.js');
    await showHealth(output, report, terminal.stdout.isTTY ? (terminal.stdout.columns ?? 80) : null);
  }
  return { document: report, exitCode: report.healthy ? EXIT.ok : EXIT.checkFailed };
}
