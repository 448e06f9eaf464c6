import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checksum, readMigrations } from '../../src/migrations/files.js';
import { VERSIONS } from '../sql/files.js';

test('a checksum is of the words: line endings and a byte order mark do not change it', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), (lines) => {
      const clean = lines.map((line) => line.replace(/[\r\n\ufeff]/g, ''));
      expect(checksum(`\ufeff${clean.join('\r\n')}`)).toBe(checksum(clean.join('\n')));
    }),
  );
  expect(checksum('select 1;')).not.toBe(checksum('select 2;'));
});

test('each of our migrations can be undone, and they are in the order of their numbers', () => {
  const migrations = readMigrations();
  expect(migrations.map(({ version }) => version)).toEqual([...VERSIONS]);
  for (const { down } of migrations) expect(down).not.toBeNull();
});

test('each of our files is ASCII, so that it runs on a database of any encoding', () => {
  for (const { up, down } of readMigrations()) {
    expect(`${up.text}${down?.text}`).toMatch(/^[\x00-\x7f]*$/);
  }
});
