/** The examples that run here as they stand take a booking. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { testDatabase } from '../support/database.js';
import { freePort } from '../support/free-port.js';
import { booking, HOST, KEY, signedRequest } from '../support/webhooks.js';

const { url, sql } = await testDatabase();
await sql`insert into users (email) values ('host@example.com')`;
await sql`insert into calendly_accounts (user_id, calendly_uri) select id, ${HOST} from users`;

for (const name of ['node.mjs', 'hono.mjs']) {
  test(name, async () => {
    const port = await freePort();
    const child = spawn(process.execPath, [join(import.meta.dirname, '../../examples/webhook', name)], {
      env: { ...process.env, DATABASE_URL: url, CALENDLY_WEBHOOK_SIGNING_KEY: KEY, PORT: String(port) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
    const body = booking(name.toUpperCase());
    const { headers } = signedRequest(body);
    const target = `http://127.0.0.1:${port}/api/calendly/webhook`;
    const answer = await fetch(target, { method: 'POST', headers, body: JSON.stringify(body) });
    expect(answer.status).toBe(200);
    const forged = await fetch(target, { method: 'POST', headers, body: JSON.stringify(booking('FORGED')) });
    expect(forged.status).toBe(401);
    const page = (await (await fetch(`${target}/test`)).json()) as { webhook_url: string };
    expect(page.webhook_url).toBe(target);
  });
}
