/** Runs the SQL files as people do who have no calendly-sync: pasted into an editor, or with psql. */
import { readdirSync, readFileSync } from 'node:fs';
import type postgres from 'postgres';

const FOLDER = new URL('../../sql/', import.meta.url);
/** `022` */
export type Version = string;
/** All there are, in order. */
export const VERSIONS: readonly Version[] = readdirSync(FOLDER)
  .flatMap((file) => /^(\d+)_\w+\.up\.sql$/.exec(file)?.[1] ?? [])
  .sort();
export const WAYS = ['paste', 'psql'] as const;

export function fileText(version: Version, direction: 'up' | 'down'): string {
  const name = readdirSync(FOLDER).find(
    (file) => file.startsWith(version) && file.endsWith(`.${direction}.sql`),
  );
  return readFileSync(new URL(name ?? version, FOLDER), 'utf8');
}

/** An editor sends the whole text at once: one transaction. psql sends each statement, and goes on after an error. */
export async function runFile(
  sql: postgres.ISql,
  version: Version,
  direction: 'up' | 'down',
  way: (typeof WAYS)[number] = 'paste',
): Promise<void> {
  const text = fileText(version, direction);
  if (way === 'paste') {
    await sql.unsafe(text);
    return;
  }
  for (const statement of text.split(/(?<=^\$calendly\$;)\n/m)) await sql.unsafe(statement).catch(() => {});
}

export async function runAll(sql: postgres.ISql, direction: 'up' | 'down'): Promise<void> {
  for (const version of direction === 'up' ? VERSIONS : [...VERSIONS].reverse())
    await runFile(sql, version, direction);
}
