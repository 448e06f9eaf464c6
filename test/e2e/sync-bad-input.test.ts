/** What a user may have set wrongly: a clear error, the right exit code, the next thing to type, and no secret in any of it. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { testDatabase } from '../support/database.js';
import { calendlySync } from '../support/program.js';
import { settingsOf, testSandbox } from '../support/sandbox.js';

describe('bad input', async () => {
  const { url } = await testDatabase();
  const empty = await testDatabase('empty');
  const TOKEN = 'eyJraWQi.s3cr3t-token-of-a-user';

  const failing = async (settings: Record<string, string>, words = ['sync']) => {
    const plain = await calendlySync(words, settings);
    const json = await calendlySync([...words, '--json', '--verbose'], settings);
    const document = JSON.parse(json.stdout);
    expect(document).toMatchObject({ command: words[0], ok: false });
    expect(json.code).toBe(plain.code);
    for (const text of [plain.stdout, plain.stderr, json.stdout, json.stderr]) {
      expect(text).not.toContain(TOKEN);
      expect(text).not.toContain('p4ssw0rd');
    }
    return { code: plain.code, error: document.error.code as string, text: plain.stderr };
  };

  it('a token is missing', async () => {
    const { code, error, text } = await failing({ DATABASE_URL: url });
    expect([code, error]).toEqual([2, 'settings']);
    expect(text).toContain('CALENDLY_TOKEN');
  });

  it('the token is wrong, expired or revoked', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const { code, error, text } = await failing({ ...settingsOf(sandbox, url), CALENDLY_TOKEN: TOKEN });
    expect([code, error]).toEqual([1, 'calendly_unauthorized']);
    expect(text).toContain('https://calendly.com/integrations');
  });

  it('the database does not answer', async () => {
    const dead = 'postgres://someone:p4ssw0rd@127.0.0.1:9/db';
    const { code, error, text } = await failing({ DATABASE_URL: dead, CALENDLY_TOKEN: TOKEN });
    expect([code, error]).toEqual([75, 'database_unreachable']);
    expect(text).toContain('127.0.0.1:9');
  });

  it('the database refuses the password', async () => {
    const refused = new URL(url);
    refused.password = 'p4ssw0rd';
    const { code, error } = await failing({ DATABASE_URL: refused.href, CALENDLY_TOKEN: TOKEN });
    expect([code, error]).toEqual([75, 'database_refused']);
  });

  it('the database lacks our tables', async () => {
    const { code, error, text } = await failing({ DATABASE_URL: empty.url, CALENDLY_TOKEN: TOKEN });
    expect([code, error]).toEqual([5, 'schema_not_ready']);
    expect(text).toContain('calendly-sync migrate');
    const replay = await calendlySync(['webhook', 'replay', '--json'], { DATABASE_URL: empty.url });
    expect([replay.code, JSON.parse(replay.stdout).error.code]).toEqual([5, 'schema_not_ready']);
  });

  it('the URL of the database cannot be read', async () => {
    for (const wrong of ['postgres://u:p4ssw0rd#1@host/db', 'mysql://u:p4ssw0rd@host/db', 'p4ssw0rd']) {
      expect((await failing({ DATABASE_URL: wrong, CALENDLY_TOKEN: TOKEN })).code).toBe(2);
    }
  });

  it('Calendly answers HTML, nothing, or something else than its JSON', async () => {
    const answers = [
      [200, '<!doctype html><title>hello</title>'],
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

  it('Calendly does not answer', async () => {
    const result = await failing({
      DATABASE_URL: url,
      CALENDLY_API_URL: 'http://127.0.0.1:9',
      CALENDLY_TOKEN: TOKEN,
    });
    expect(result).toMatchObject({ code: 75, error: 'calendly_unreachable' });
  });

  it('an event listing that is not allowed names the right that is missing', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const { token } = sandbox.control.grant({ scopes: ['users:read'] });
    const fresh = await testDatabase();
    const result = await failing({ ...settingsOf(sandbox, fresh.url), CALENDLY_TOKEN: token });
    expect(result).toMatchObject({ code: 1, error: 'calendly_forbidden' });
    expect(result.text).toContain('scheduled_events:read');
  });

  it('flags are misspelled or their values cannot be read', async () => {
    for (const [words, part] of [
      [['sink'], 'Did you mean sync'],
      [['sync', '--dryrun'], 'Did you mean --dry-run'],
      [['sync', '--concurrency', 'many'], 'whole number'],
      [['sync', '--since', 'yesterday'], '2025-01-31'],
      [['sync', '--since', '2025-02-01', '--until', '2025-01-01'], 'before'],
      [['sync', 'extra'], 'too many arguments'],
    ] as const) {
      const { code, stderr, stdout } = await calendlySync([...words], {
        DATABASE_URL: url,
        CALENDLY_TOKEN: TOKEN,
      });
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toContain(part);
    }
  });

  it('no row in users fits, and none can be made', async () => {
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
    const linked = await calendlySync(
      ['sync', '--user', 'Somebody@Else.example'],
      settingsOf(sandbox, other.url),
    );
    expect(linked.code).toBe(0);
    const [meetings] =
      await other.sql`select count(distinct user_id)::integer as users, count(*)::integer as n from meetings`;
    expect(meetings).toEqual({ users: 1, n: 5 });
    // The link holds: no flag is needed any more, and another user's name is refused.
    expect((await calendlySync(['sync'], settingsOf(sandbox, other.url))).code).toBe(0);
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
