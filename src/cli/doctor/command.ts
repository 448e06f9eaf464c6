/** `doctor`: what works, what does not, and the fix. */
import { describeSettings } from '../../config.js';
import type { Finding } from '../../doctor/doctor.js';
import { type CommandContext, type CommandResult, commandAction, type DefineCommand } from '../command.js';
import { EXIT } from '../exit-codes.js';
import { httpUrl } from '../option-parsers.js';
import { oneLine } from '../terminal/sanitize.js';
import type { Tone } from '../terminal/table.js';

const MARKS: Readonly<Record<Finding['status'], [mark: string, tone?: Tone]>> = {
  ok: ['✔', 'good'],
  warning: ['⚠', 'warn'],
  failed: ['✖', 'bad'],
  skipped: ['–', 'dim'],
};

export const doctor: DefineCommand = (program, session) => {
  program
    .command('doctor')
    .description('check everything that a sync needs, with the fix for what fails; exits 4 then')
    .option('--offline', 'check this machine and the database, not Calendly and the receiver')
    .option('--url <url>', 'public URL of the receiver (default: that of our webhook subscription)', httpUrl)
    .addHelpText('after', '\nExamples:\n  $ calendly-sync doctor\n  $ calendly-sync doctor --offline --json')
    .action(commandAction(session, runDoctor));
};

async function runDoctor(
  { config, output, terminal, signal }: CommandContext,
  { offline = false, url }: { offline?: boolean; url?: string },
): Promise<CommandResult> {
  const [{ doctor }, { withPath }] = await Promise.all([
    import('../../doctor/doctor.js'),
    import('../webhook/ping.js'),
  ]);
  const settings = describeSettings(terminal.environment, output.options, terminal.cwd);
  const receiverUrl = url === undefined ? null : withPath(url);
  const checks: Finding[] = [];
  for await (const finding of doctor({ config, settings, offline, receiverUrl, signal })) {
    checks.push(finding);
    const { check, status, looked_at, message, hint } = finding;
    const [mark, tone] = MARKS[status];
    const line = `${mark} ${check}: ${oneLine(looked_at)}: ${oneLine(message)}`;
    const fix = hint === null ? '' : ` → ${hint}`;
    if (output.quiet && status === 'failed') output.warn(line + fix);
    output.result(line, tone);
    if (hint !== null) output.result(`  → ${hint}`);
  }
  const failed = checks.filter(({ status }) => status === 'failed').length;
  return { document: { checks }, exitCode: failed > 0 ? EXIT.checkFailed : EXIT.ok };
}
