/** `help TOPIC`: what belongs to no single command. */
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { SETTINGS } from '../config.js';
import { EXIT_MEANINGS } from './exit-codes.js';
import { wrap } from './terminal/layout.js';

type Topic = (width: number, program: () => Promise<CommandUnknownOpts>) => string | Promise<string>;

const TOPICS: Readonly<Record<string, Topic>> = {
  'exit-codes': (width) => ['Exit codes:', ...rows(EXIT_MEANINGS, 10, width)].join('\n'),
  environment: settingsHelp,
  man: async (_, program) => (await import('./man-page.js')).manPage(await program()),
};

/** The text of `help TOPIC`; undefined for another argument. */
export function helpTopic(argv: readonly string[]): Topic | undefined {
  const [help, name = ''] = argv;
  return help === 'help' && Object.hasOwn(TOPICS, name) ? TOPICS[name] : undefined;
}

export function settingsHelp(width: number): string {
  const settings = Object.values(SETTINGS).map(({ name, description, default: fallback }) => {
    return [name, `${description}${fallback ? ` (default: ${fallback})` : ''}`] as const;
  });
  return ['Settings (environment or .env):', ...rows(settings, 29, width)].join('\n');
}

function rows(all: readonly (readonly [string, string])[], column: number, width: number): string[] {
  return all.flatMap(([name, text]) => wrap(`  ${name.padEnd(column)} ${text}`, width, { indent: '    ' }));
}
