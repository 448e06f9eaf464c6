/** `config`: every setting, its value and where it comes from. */
import { describeSettings } from '../../config.js';
import { commandAction, type DefineCommand, type Handler } from '../command.js';
import { oneLine } from '../terminal/sanitize.js';

export const config: DefineCommand = (program, session) => {
  const run: Handler<object> = async ({ output, terminal }) => {
    const settings = describeSettings(terminal.environment, output.options, terminal.cwd);
    const rows = settings.map(({ name, value, source, file }) => [
      { text: name, tone: 'strong' as const },
      oneLine(value ?? ''),
      value === null ? 'not set' : (file ?? source),
    ]);
    await output.table(['setting', 'value', 'from'], rows);
    return { document: { settings } };
  };
  program
    .command('config')
    .description('show every setting, its value and where it comes from; secrets are masked')
    .addHelpText('after', '\nExamples:\n  $ calendly-sync config\n  $ calendly-sync config --json')
    .action(commandAction(session, run));
};
