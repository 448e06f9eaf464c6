/** Migrations made up for a test, and the tool's own with changes. */
import { checksum, type Migration, readMigrations } from '../../src/migrations/files.js';

/** A migration with this text; its down file does nothing unless it is given. */
export function migrationOf(version: string, up: string, down = '-- nothing'): Migration {
  const file = (direction: string, text: string) => ({
    path: `/sql/${version}_made_up.${direction}.sql`,
    text,
  });
  return {
    version,
    name: 'made_up',
    up: file('up', up),
    down: file('down', down),
    checksum: checksum(up),
  };
}

/** The tool's own migrations, one of them with another text. */
export function withChanged(version: string, change: (text: string) => string): Migration[] {
  return readMigrations().map((migration) => {
    if (migration.version !== version) return migration;
    const text = change(migration.up.text);
    return { ...migration, up: { ...migration.up, text }, checksum: checksum(text) };
  });
}
