/** The man page, from the same source as `--help`. Pure. */
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { SETTINGS } from '../config.js';
import { version } from '../version.js';
import { type DescribedFlag, describeCommands } from './command-tree.js';
import { EXIT_MEANINGS } from './exit-codes.js';

/** The page in roff: `calendly-sync help man | man -l -`. */
export function manPage(root: CommandUnknownOpts): string {
  const [program, ...commands] = describeCommands(root);
  const lines = [
    `.TH CALENDLY\\-SYNC 1 "" "calendly\\-sync ${roff(version)}"`,
    '.SH NAME',
    'calendly\\-sync \\- keeps a Postgres database up to date with Calendly',
    '.SH SYNOPSIS',
    '.B calendly\\-sync',
    '.I command',
    '[\\fIoptions\\fR]',
    '.SH DESCRIPTION',
    roff(program?.description ?? ''),
    '.SH COMMANDS',
    ...commands.flatMap(({ path, args, description, flags }) => [
      `.SS ${roff(`calendly-sync ${path} ${args}`.trim())}`,
      roff(description),
      ...flags.flatMap(flagLines),
    ]),
    '.SH SHARED OPTIONS',
    ...(program?.flags ?? []).flatMap(flagLines),
    '.SH ENVIRONMENT',
    'A flag wins over the environment, the environment over \\fI.env\\fR.',
    ...Object.values(SETTINGS).flatMap(({ name, description, default: fallback }) =>
      entry(name, `${description}${fallback ? ` (default: ${fallback})` : ''}`),
    ),
    '.SH EXIT STATUS',
    ...EXIT_MEANINGS.flatMap(([codes, meaning]) => entry(codes, meaning)),
  ];
  return `${lines.join('\n')}\n`;
}

function flagLines({ short, long, value, description, choices }: DescribedFlag): string[] {
  const name = `${short ? `${short}, ` : ''}${long} ${value}`.trim();
  return entry(name, choices.length > 0 ? `${description} (${choices.join(', ')})` : description);
}

function entry(name: string, text: string): string[] {
  return ['.TP', `.B ${roff(name)}`, roff(text)];
}

/** Text as roff shows it unchanged. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^(?=[.'])/gm, '\\&');
}
