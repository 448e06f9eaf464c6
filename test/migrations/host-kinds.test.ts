/** Every rule that a host's tables may have: `migrate` works, or refuses before anything is changed. */
import { expect, onTestFinished, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { migrate } from '../../src/migrations/migrate.js';
import { testDatabase } from '../support/database.js';
import { HOST_KINDS } from '../support/host-kinds.js';
import { schemaOf } from '../support/schema.js';

test.each(HOST_KINDS)(
  'migrate works or is refused before the first change on a host with $rule',
  async (kind) => {
    const { url, sql } = await testDatabase('empty');
    await sql.unsafe(`
    create table users (id integer primary key, email text);
    create table meetings (id serial primary key, user_id integer, title text);
    insert into users values (1, 'dana@example.com');
    ${kind.sql};`);
    const schema = await schemaOf(sql);
    const database = openServer(url);
    onTestFinished(() => database.close());
    if (kind.accepts) {
      expect((await migrate(database)).pending).toEqual([]);
      return;
    }
    await expect(migrate(database)).rejects.toMatchObject({
      code: 'preflight',
      message: expect.stringContaining('Nothing was changed'),
      hint: expect.stringContaining('calendly-sync migrate --own-tables'),
    });
    expect(await schemaOf(sql)).toEqual(schema);
  },
);
