/** What a migration would run, as a script to read or to run with psql. Pure. */
import { quoteName, quoteText } from '../database/search-path.js';
import { firstLineSays, type Migration } from './files.js';
import { historySql } from './history.js';
import { DEFAULT_LOCK_TIMEOUT_MS } from './lock.js';
import type { Step } from './rollback.js';

export interface ScriptOptions {
  schema: string | null;
  lockTimeoutMs?: number | undefined;
}

/** The script of one file. `first` makes the history before it. */
export function upScript(
  migration: Migration,
  { schema, lockTimeoutMs }: ScriptOptions,
  first: boolean,
): string {
  const { version, name, checksum, up, transactional } = migration;
  const recorded =
    `insert into calendly_migrations (version, name, checksum, ms)\n` +
    `values (${[version, name, checksum].map(quoteText).join(', ')}, 0);`;
  const setup = settings({ schema, lockTimeoutMs });
  if (!transactional) return [up.text.trimEnd(), 'begin;', ...setup, recorded, 'commit;'].join('\n');
  return [
    'begin;',
    ...setup,
    ...(first ? [historySql(schema)] : []),
    up.text.trimEnd(),
    recorded,
    'commit;',
  ].join('\n');
}

/** The script that undoes one migration. */
export function downScript({ version, down }: Step, options: ScriptOptions): string {
  const forgotten = `delete from calendly_migrations where version = ${quoteText(version)};`;
  const setup = settings(options);
  if (firstLineSays(down.text, 'no-transaction'))
    return [down.text.trimEnd(), 'begin;', ...setup, forgotten, 'commit;'].join('\n');
  return ['begin;', ...setup, down.text.trimEnd(), forgotten, 'commit;'].join('\n');
}

function settings({ schema, lockTimeoutMs = DEFAULT_LOCK_TIMEOUT_MS }: ScriptOptions): string[] {
  return [
    `set local lock_timeout = '${lockTimeoutMs}ms';`,
    ...(schema === null
      ? []
      : [
          `select set_config('search_path', concat_ws(', ', ${quoteText(quoteName(schema))}, nullif(current_setting('search_path'), '')), true);`,
        ]),
  ];
}
