/** Tokens of one account in several processes, some of which are killed or frozen. */
import { describe, expect, test } from 'vitest';
import { accessTokenOf, sealPair } from '../../src/accounts/access-token.js';
import { libraryProcess } from '../support/library-process.js';
import { KEY_A, KEY_B, oauthAccount } from '../support/oauth-account.js';
import { poolers } from '../support/poolers.js';

const CALLERS = `
  const database = library.openServer(given.url);
  const ask = () => library.getAccessToken({ database, config: given.config, userId: 1 });`;
/** Asks from 8 places at once, again and again, and prints each token that it has not seen. */
const ASKING = `${CALLERS}
  const seen = new Set();
  for (;;) {
    const tokens = await Promise.all(Array.from({ length: 8 }, () => ask().catch((error) => 'error ' + error.message)));
    for (const token of tokens) if (!seen.has(token)) { seen.add(token); console.log(token); }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }`;
/** Asks once. */
const ASKS_ONCE = `${CALLERS}
  console.log(await ask().catch((error) => error.code)); await database.close();`;

const ways = [
  { name: 'a direct connection', start: async (url: string) => ({ url, stop: async () => {} }) },
  ...poolers,
];

describe.each(ways)('five processes that ask through $name', ({ start }) => {
  test('use no refresh token twice, and have the same token', async () => {
    const { url, config, accountId, expire, requests, sandbox, pair } = await oauthAccount();
    const way = await start(url, 6);
    const processes = Array.from({ length: 5 }, () => libraryProcess(ASKING, { url: way.url, config }));
    const rounds = 4;
    // Connecting has left the pair expired: the first round begins by itself.
    for (let round = 1; round <= rounds; round++) {
      await expect.poll(() => processes.map(({ lines }) => lines().length)).toEqual(Array(5).fill(round));
      if (round < rounds) await expire();
    }
    for (const { child } of processes) child.kill('SIGKILL');
    await Promise.all(processes.map(({ ended }) => ended));
    expect(requests()).toEqual({ sent: rounds, refused: 0 });
    const [first, ...others] = processes.map(({ lines }) => lines());
    for (const lines of others) expect(lines).toEqual(first);
    expect(new Set([...(first ?? []), pair.access_token]).size).toBe(rounds + 1);
    const works = await fetch(`${sandbox.url}/users/me`, {
      headers: { authorization: `Bearer ${first?.at(-1)}` },
    });
    expect([works.status, accountId]).toEqual([200, '1']);
    await way.stop();
  });
});

test('a process killed between the answer and the commit leaves an account that must be connected again', async () => {
  const { url, config, context, accountId, sql, requests, sandbox } = await oauthAccount();
  const { child, ended } = libraryProcess(ASKS_ONCE, { url, config });
  const stop = sandbox.onRequest(({ path }) => path === '/oauth/token' && child.kill('SIGSTOP'));
  // Calendly has answered, and the process has not read it.
  await expect.poll(requests).toEqual({ sent: 1, refused: 0 });
  child.kill('SIGKILL');
  await ended;
  stop();
  await expect(accessTokenOf(context, accountId)).rejects.toMatchObject({ code: 'needs_reconnect' });
  await expect(accessTokenOf(context, accountId)).rejects.toMatchObject({ code: 'needs_reconnect' });
  expect(requests()).toEqual({ sent: 2, refused: 1 });
  expect(await sql`select state from calendly_accounts`).toEqual([{ state: 'needs_reconnect' }]);
});

test('a process frozen until others gave up on the pair stores it when it goes on, and the account works again', async () => {
  const { url, config, context, accountId, sql, requests, sandbox } = await oauthAccount();
  const { child, lines, ended } = libraryProcess(ASKS_ONCE, { url, config });
  const stop = sandbox.onRequest(({ path }) => path === '/oauth/token' && child.kill('SIGSTOP'));
  await expect.poll(requests).toEqual({ sent: 1, refused: 0 });
  stop();
  // What the server does to a session that is idle in its transaction for 30 s.
  await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'calendly-sync' and state = 'idle in transaction'`;
  await expect(accessTokenOf(context, accountId)).rejects.toMatchObject({ code: 'needs_reconnect' });
  child.kill('SIGCONT');
  expect(await ended).toBe(0);
  expect(await accessTokenOf(context, accountId)).toBe(lines()[0]);
  expect(
    await sql`
    select state, due_at < 'infinity' as due from calendly_accounts a join calendly_leases l on l.account_id = a.id`,
  ).toEqual([{ state: 'active', due: true }]);
  expect(requests()).toEqual({ sent: 2, refused: 1 });
});

test('a copy of the database contains no token, no key and no half of one', async () => {
  const { context, accountId, sql, pair, config } = await oauthAccount();
  const token = await accessTokenOf(context, accountId);
  const [stored] = await sql`select access, refresh from calendly_tokens`;
  const secrets = [token, pair.access_token, pair.refresh_token, config.calendlyClientSecret, KEY_A];
  const halves = secrets.flatMap((secret) => [
    secret.slice(0, secret.length / 2),
    secret.slice(secret.length / 2),
  ]);
  // All that begin alike have the same first half in a sandbox: only what tells them apart counts.
  const wanted = [...secrets, ...halves.filter((half) => !half.startsWith('sandbox-'))];
  const tables = await sql<{ name: string }[]>`
    select oid::regclass::text as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace`;
  let text = '';
  for (const { name } of tables) text += JSON.stringify(await sql.unsafe(`select t::text from ${name} t`));
  const bytes = Buffer.concat([stored?.access, stored?.refresh]).toString('latin1');
  for (const secret of wanted) {
    for (const form of [secret, hex(secret), Buffer.from(secret).toString('base64').replace(/=+$/, '')]) {
      expect(text.includes(form)).toBe(false);
      expect(bytes.includes(form)).toBe(false);
    }
  }
  expect(text).not.toContain(Buffer.from(KEY_A, 'base64').toString('hex'));
});

test('sealed tokens swapped between accounts or columns do not open', async () => {
  const first = await oauthAccount();
  const { context, sql } = first;
  const { accountId: other } = await oauthAccount(1, first);
  await sql`update calendly_tokens set expires_at = now() + interval '1 hour'`;
  const [one] = await sql`select access, refresh from calendly_tokens where account_id = 1`;
  await sql`update calendly_tokens set access = ${one?.access} where account_id = ${other}`;
  await expect(accessTokenOf(context, other)).rejects.toMatchObject({ code: 'failed' });
  await sql`update calendly_tokens set access = refresh where account_id = 1`;
  await expect(accessTokenOf(context, '1')).rejects.toMatchObject({ code: 'failed' });
});

test('a rekey that is killed after each batch leaves tokens that open, and ends when it is run again', async () => {
  const { url, config, context, accountId, sql } = await oauthAccount();
  const accounts = 1_200;
  await sql`
    insert into users (email) select n || '@example.com' from generate_series(2, ${accounts}) n`;
  await sql`
    insert into calendly_accounts (user_id, calendly_uri)
    select id, 'https://api.calendly.com/users/' || id from users where id > 1`;
  const rows = await sql<
    { id: string; uri: string }[]
  >`select id::text as id, calendly_uri as uri from calendly_accounts`;
  const values = rows.map(({ id, uri }) => {
    const pair = { accessToken: `access-${id}`, refreshToken: `refresh-${id}`, expiresIn: null, scope: null };
    const { access, refresh } = sealPair(config.syncKeys, uri, pair);
    return { account_id: id, kind: 'oauth', access, refresh };
  });
  await sql`delete from calendly_tokens`;
  for (let from = 0; from < values.length; from += 400)
    await sql`insert into calendly_tokens ${sql(values.slice(from, from + 400))}`;
  const both = { ...config, syncKeys: [KEY_B, KEY_A] };
  const left = async () => {
    const [row] = await sql<{ count: number }[]>`
      select count(*)::integer as count from calendly_tokens
      where substr(access, 2, 4) = ${values[0]?.access.subarray(1, 5) ?? ''}`;
    return row?.count ?? 0;
  };
  let before = await left();
  for (let kills = 0; before > 0; kills++) {
    expect(kills).toBeLessThan(10);
    const { child, ended } = libraryProcess(
      `const database = library.openServer(given.url);
       await library.rekey({ database, config: given.config, onProgress: () => process.kill(process.pid, 'SIGKILL') });`,
      { url, config: both },
    );
    await ended;
    expect(child.killed).toBe(false);
    const now = await left();
    expect(now).toBeLessThan(before);
    before = now;
    for (const id of [accountId, '700', '1200']) {
      expect(await accessTokenOf({ ...context, config: both }, id)).toBe(`access-${id}`);
    }
  }
  expect(await accessTokenOf({ ...context, config: { ...config, syncKeys: [KEY_B] } }, '1200')).toBe(
    'access-1200',
  );
});

function hex(text: string): string {
  return Buffer.from(text).toString('hex');
}
