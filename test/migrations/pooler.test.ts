import postgres from 'postgres';
import { afterAll, describe, expect, test } from 'vitest';
import { type Database, openServer } from '../../src/database/connection.js';
import { requireSchema } from '../../src/database/schema.js';
import { backupName } from '../../src/migrations/backup/backup.js';
import { restore } from '../../src/migrations/backup/restore.js';
import { migrate } from '../../src/migrations/migrate.js';
import { rollback } from '../../src/migrations/rollback.js';
import { migrationStatus } from '../../src/migrations/status.js';
import { VERSIONS } from '../sql/files.js';
import { testDatabase } from '../support/database.js';
import { makeHost } from '../support/hosts.js';
import { poolers } from '../support/poolers.js';
import { schemaOf } from '../support/schema.js';

const POOL_SIZE = 4;

const closing: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

describe.each(poolers)('through $name', ({ start }) => {
  async function pooled(schema: string | null = null) {
    const { url, sql } = await testDatabase('empty');
    await makeHost(sql, 'uuid');
    const pooler = await start(url, POOL_SIZE);
    closing.push(() => pooler.stop());
    const connect = (): Database => {
      const database = openServer(pooler.url, { schema });
      closing.push(() => database.close());
      return database;
    };
    return { url, sql, pooler, connect };
  }

  test('it really is one: a session lock outlives its client, and unknown parameters are refused', async () => {
    const { pooler, sql } = await pooled();
    const client = postgres(pooler.url, { max: 1, prepare: false, fetch_types: false, onnotice: () => {} });
    closing.push(() => client.end({ timeout: 1 }));
    await client`select pg_advisory_lock(4711)`;
    await client.end();
    expect(
      await sql`select from pg_locks where locktype = 'advisory' and objid = 4711 and database = (select oid from pg_database where datname = current_database())`,
    ).toHaveLength(1);
    const refused = postgres(pooler.url, {
      max: 1,
      fetch_types: false,
      connection: { statement_timeout: 1_000 },
    });
    closing.push(() => refused.end({ timeout: 1 }));
    await expect(refused`select 1`).rejects.toMatchObject({ code: '08P01' });
  });

  test.each([null, 'Our Schema'])(
    'everything goes its way, and no backend keeps anything (schema %s)',
    async (schema) => {
      const { sql, pooler, connect } = await pooled(schema);
      const before = await schemaOf(sql);
      const databases = Array.from({ length: 5 }, connect);
      const results = await Promise.all(databases.map((database) => migrate(database)));
      expect(results.flatMap(({ applied }) => applied)).toHaveLength(VERSIONS.length);
      const database = connect();
      expect(await migrationStatus(database)).toMatchObject({ pending: [], files: [], drift: [] });
      expect(await database.transaction(requireSchema)).toEqual({ hasSyncState: true });

      await database.transaction(
        (tx) =>
          tx`insert into calendly_webhook_events (event_id, event_type, payload) values ('e', 't', '{}')`,
      );
      const backup = backupName(new Date());
      await rollback(database, { to: '0', backup });
      expect((await schemaOf(sql)).filter((line) => !line.includes('calendly_backup_'))).toEqual(before);
      await migrate(database);
      await restore(database, backup);
      expect(await database.transaction((tx) => tx`select event_id from calendly_webhook_events`)).toEqual([
        { event_id: 'e' },
      ]);

      expect(
        await sql`select from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`,
      ).toHaveLength(0);
      const client = postgres(pooler.url, {
        max: POOL_SIZE,
        prepare: false,
        fetch_types: false,
        onnotice: () => {},
      });
      closing.push(() => client.end({ timeout: 1 }));
      const settings = await Promise.all(
        Array.from({ length: POOL_SIZE }, () =>
          client.begin(
            (tx) => tx`
            select current_setting('lock_timeout') as lock_timeout, current_setting('statement_timeout') as statement_timeout,
              current_setting('search_path') as search_path, pg_sleep(0.2)`,
          ),
        ),
      );
      for (const [row] of settings) {
        expect(row).toMatchObject({
          lock_timeout: '0',
          statement_timeout: '0',
          search_path: '"$user", public',
        });
      }
    },
  );
});
