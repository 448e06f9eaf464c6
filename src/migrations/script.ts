/** What a migration would run, as a script to read, for psql or for a SQL editor. Pure. */
import { quoteText } from '../database/literal-sql.js';
import { quoteName } from '../database/search-path.js';
import type { Migration } from './files.js';
import { beforeText, createHistoryText, createSchemaText, historyTable, recordText } from './history.js';
import { DEFAULT_LOCK_TIMEOUT_MS } from './lock.js';
import type { UndoStep } from './rollback.js';

export interface ScriptOptions {
  schema: string | null;
  lockTimeoutMs?: number | undefined;
}

/** The script that applies one file, in a transaction. */
export function upScript(migration: Migration, options: ScriptOptions): string {
  return [
    'begin;',
    ...settings(options, true),
    createSchemaText(options.schema) +
      createHistoryText(options.schema) +
      beforeText(options.schema) +
      migration.up.text.trimEnd(),
    `${recordText(options.schema, migration)}commit;`,
  ].join('\n');
}

/** The script that undoes one migration. */
export function downScript({ version, down }: UndoStep, options: ScriptOptions): string {
  return [
    'begin;',
    ...settings(options, true),
    down.text.trimEnd(),
    `delete from ${historyTable(options.schema)} where version = ${quoteText(version)};`,
    'commit;',
  ].join('\n');
}

/**
 * All files as one text for a SQL editor, which runs it in one transaction and shows the last result: what is
 * applied now, and what each file created. For `psql -1 -v ON_ERROR_STOP=1 -f` too. It may run again.
 */
export function editorScript(migrations: Migration[], options: ScriptOptions): string {
  const { schema } = options;
  return [
    '-- calendly-sync: all migrations. Paste it into a SQL editor, or run it with: psql -1 -v ON_ERROR_STOP=1 -f FILE',
    ...settings(options, false),
    createSchemaText(schema) + createHistoryText(schema),
    ...migrations.flatMap((migration) => [
      beforeText(schema, false) + migration.up.text.trimEnd(),
      recordText(schema, migration, false),
    ]),
    `select 'ok: ' || version || ' ' || name as migration, applied_at, applied_by,
  (select string_agg(key, ', ' order by key) from jsonb_object_keys(made) as key) as created
from ${historyTable(schema)} order by version::numeric;`,
  ].join('\n');
}

function settings(
  { schema, lockTimeoutMs = DEFAULT_LOCK_TIMEOUT_MS }: ScriptOptions,
  local: boolean,
): string[] {
  return [
    `select set_config('lock_timeout', '${lockTimeoutMs}ms', ${local}), set_config('row_security', 'off', ${local});`,
    ...(schema === null
      ? []
      : [
          `select set_config('search_path', concat_ws(', ', ${quoteText(quoteName(schema))}, nullif(current_setting('search_path'), '')), ${local});`,
        ]),
  ];
}
