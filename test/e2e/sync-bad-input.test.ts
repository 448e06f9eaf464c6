/** Invalid settings and input: a clear error, the right exit code, the next thing to type, and no secret in any of it. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runCli, runJson } from '../support/cli.js';
import { testDatabase } from '../support/database.js';
import { settingsOf, testSandbox } from '../support/sandbox.js';

describe('bad input', async () => {
  const { url } = await testDatabase();
  const empty = await testDatabase('empty');
  const TOKEN = 'eyJraWQi.s3cr3t-token-of-a-user';

  const failing = async (settings: Record<string, string>, argv = ['sync']) => {
    const plain = await runCli(argv, settings);
    const json = await runJson([...argv, '--verbose'], settings);
    const { document } = json;
    expect(document).toMatchObject({ command: argv[0], ok: false });
    expect(json.code).toBe(plain.code);
    for (const text of [plain.stdout, plain.stderr, json.stdout, json.stderr]) {
      expect(text).not.toContain(TOKEN);
      expect(text).not.toContain('p4ssw0rd');
    }
    return { code: plain.code, error: document.error.code as string, text: plain.stderr };
  };

  test('without a token sync exits with 2 and names the setting', async () => {
    const { code, error, text } = await failing({ DATABASE_URL: url });
    expect([code, error]).toEqual([2, 'settings']);
    expect(text).toContain('CALENDLY_TOKEN');
  });

  test('a token that Calendly rejects exits with 1 and links to where tokens are created', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const { code, error, text } = await failing({ ...settingsOf(sandbox, url), CALENDLY_TOKEN: TOKEN });
    expect([code, error]).toEqual([1, 'calendly_unauthorized']);
    expect(text).toContain('https://calendly.com/integrations');
  });

  test('a database that does not answer exits with 75 and is named, without its password', async () => {
    const dead = 'postgres://someone:p4ssw0rd@127.0.0.1:9/db';
    const { code, error, text } = await failing({ DATABASE_URL: dead, CALENDLY_TOKEN: TOKEN });
    expect([code, error]).toEqual([75, 'database_unreachable']);
    expect(text).toContain('127.0.0.1:9');
  });

  test('a database that rejects the password exits with 2, and the password is not printed', async () => {
    const refused = new URL(url);
    refused.password = 'p4ssw0rd';
    const { code, error } = await failing({ DATABASE_URL: refused.href, CALENDLY_TOKEN: TOKEN });
    expect([code, error]).toEqual([2, 'database_refused']);
  });

  test('a database without our tables exits with 5 and the hint to migrate', async () => {
    const { code, error, text } = await failing({ DATABASE_URL: empty.url, CALENDLY_TOKEN: TOKEN });
    expect([code, error]).toEqual([5, 'schema_not_ready']);
    expect(text).toContain('calendly-sync migrate');
    const replay = await runJson(['webhook', 'replay'], { DATABASE_URL: empty.url });
    expect([replay.code, replay.document.error.code]).toEqual([5, 'schema_not_ready']);
  });

  test('an invalid database URL exits with 2, and its password is not printed', async () => {
    for (const wrong of ['postgres://u:p4ssw0rd#1@host/db', 'mysql://u:p4ssw0rd@host/db', 'p4ssw0rd']) {
      expect((await failing({ DATABASE_URL: wrong, CALENDLY_TOKEN: TOKEN })).code).toBe(2);
    }
  });

  test('a response that is not Calendly’s JSON exits with 1 and names the setting of the URL', async () => {
    const answers = [
      [200, ''],
      [200, '{"hello":"world"}'],
      [200, '[1,2'],
      [404, '<html>not found</html>'],
    ] as const;
    await Promise.all(
      answers.map(async ([status, body]) => {
        const address = await answering(status, body);
        const result = await failing({ DATABASE_URL: url, CALENDLY_API_URL: address, CALENDLY_TOKEN: TOKEN });
        expect(result).toMatchObject({ code: 1, error: 'calendly_invalid_response' });
        expect(result.text).toContain('CALENDLY_API_URL');
      }),
    );
  });

  test('a web page instead of JSON exits with 75 and names the setting of the URL', async () => {
    const pages = [
      [200, '<!doctype html><title>We will be back soon</title>'],
      [403, '<html><title>Attention Required!</title></html>'],
    ] as const;
    for (const [status, body] of pages) {
      const address = await answering(status, body);
      const result = await failing({ DATABASE_URL: url, CALENDLY_API_URL: address, CALENDLY_TOKEN: TOKEN });
      expect(result).toMatchObject({ code: 75, error: 'calendly_unreachable' });
      expect(result.text).toContain('CALENDLY_API_URL');
    }
  });

  test('a Calendly that does not answer exits with 75', async () => {
    const result = await failing({
      DATABASE_URL: url,
      CALENDLY_API_URL: 'http://127.0.0.1:9',
      CALENDLY_TOKEN: TOKEN,
    });
    expect(result).toMatchObject({ code: 75, error: 'calendly_unreachable' });
  });

  test('an event listing that is not allowed names the missing scope', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const { token } = sandbox.control.grant({ scopes: ['users:read'] });
    const fresh = await testDatabase();
    const result = await failing({ ...settingsOf(sandbox, fresh.url), CALENDLY_TOKEN: token });
    expect(result).toMatchObject({ code: 1, error: 'calendly_forbidden' });
    expect(result.text).toContain('scheduled_events:read');
  });

  test('a window that ends before it starts exits with 2', async () => {
    const argv = ['sync', '--since', '2025-02-01', '--until', '2025-01-01'];
    const { code, error, text } = await failing({ DATABASE_URL: url, CALENDLY_TOKEN: TOKEN }, argv);
    expect([code, error]).toEqual([2, 'usage']);
    expect(text).toContain('--since must be before --until');
  });

  test('sync --event refuses another host, and --since together with it', async () => {
    const uri = 'https://api.calendly.com/scheduled_events/A1';
    for (const flags of [['https://example.com/scheduled_events/A1'], [uri, '--since', '2025-01-01']]) {
      const { code, error, text } = await failing({ DATABASE_URL: url }, ['sync', '--event', ...flags]);
      expect([code, error]).toEqual([2, 'usage']);
      expect(text).toContain('--event');
    }
  });

  test('when no row in users matches and none can be created, --user links one for good', async () => {
    const sandbox = await testSandbox({ events: 5, rateLimit: 50_000 });
    const other = await testDatabase();
    await other.sql`alter table users add column password_hash text not null`;
    const result = await failing(settingsOf(sandbox, other.url));
    expect(result).toMatchObject({ code: 2, error: 'user_unknown' });
    expect(result.text).toContain('password_hash');
    expect(result.text).toContain('--user');
    await other.sql`insert into users (email, password_hash) values ('somebody@else.example', 'x')`;
    const unknown = await failing(settingsOf(sandbox, other.url), ['sync', '--user', 'nobody@example.com']);
    expect(unknown).toMatchObject({ code: 2, error: 'user_unknown' });
    const linked = await runCli(['sync', '--user', 'Somebody@Else.example'], settingsOf(sandbox, other.url));
    expect(linked.code).toBe(0);
    const [meetings] =
      await other.sql`select count(distinct user_id)::integer as users, count(*)::integer as n from meetings`;
    expect(meetings).toEqual({ users: 1, n: 5 });
    // The link is stored: the flag is no longer needed, and another user is rejected.
    expect((await runCli(['sync'], settingsOf(sandbox, other.url))).code).toBe(0);
    await other.sql`insert into users (email, password_hash) values ('third@example.com', 'x')`;
    expect(
      await failing(settingsOf(sandbox, other.url), ['sync', '--user', 'third@example.com']),
    ).toMatchObject({ code: 2 });
  });
});

async function answering(status: number, body: string): Promise<string> {
  const server = createServer((_request, response) => response.writeHead(status).end(body));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
