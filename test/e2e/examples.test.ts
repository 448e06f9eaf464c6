/**
 * Every example receives a booking. Those for Node, Hono and Express run as they are; those for Next.js and Deno run below an
 * imitation of their platform (`test/support/platform.ts`), which is not installed.
 */
import { execFile, spawn } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { testDatabase } from '../support/database.js';
import { freePort } from '../support/free-port.js';
import { temporaryFolder } from '../support/program.js';
import { booking, HOST, KEY, signedRequest } from '../support/webhooks.js';

const { url, sql } = await testDatabase();
await sql`insert into users (email) values ('host@example.com')`;
await sql`insert into calendly_accounts (user_id, calendly_uri) select id, ${HOST} from users`;

const root = join(import.meta.dirname, '../..');
const folder = join(root, 'examples/webhook');
const platform = ['--import', 'tsx', fileURLToPath(new URL('../support/platform.ts', import.meta.url))];
const path = '/api/calendly/webhook';
const examples = [
  { name: 'node.mjs', below: [], path },
  { name: 'hono.mjs', below: [], path },
  { name: 'express.mjs', below: [], path },
  { name: 'next-route.ts', below: platform, path },
  { name: 'edge-function.ts', below: platform, path: '/calendly-webhook' },
];

/** Runs an example; resolves to the URL of its receiver. */
async function run({ name, below, path }: (typeof examples)[number]): Promise<string> {
  const port = await freePort();
  const child = spawn(process.execPath, [...below, join(folder, name)], {
    cwd: root,
    env: { ...process.env, DATABASE_URL: url, CALENDLY_WEBHOOK_SIGNING_KEY: KEY, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`${name} ended with code ${code}`)));
  });
  return `http://127.0.0.1:${port}${path}`;
}

test.each(examples)('the example $name receives a booking and rejects a forged one', async (example) => {
  const target = await run(example);
  const id = example.name.toUpperCase();
  // Indented: parsing and serializing it again would change the bytes, and the signature is that of the bytes.
  const body = JSON.stringify(booking(id), null, 3);
  const { headers } = signedRequest(body);
  const answer = await fetch(target, { method: 'POST', headers, body });
  expect(answer.status).toBe(200);
  expect(await answer.json()).toEqual({ received: true, status: 'applied' });
  const rows = await sql`select synced_via_webhook as brought from meetings where external_id = ${id}`;
  expect(rows).toEqual([{ brought: true }]);
  const forged = await fetch(target, { method: 'POST', headers, body: JSON.stringify(booking('FORGED')) });
  expect(forged.status).toBe(401);
  const page = (await (await fetch(`${target}/test`)).json()) as { webhook_url: string };
  expect(page.webhook_url).toBe(target);
});

test('the example for Express survives a request whose URL is invalid', async () => {
  const target = await run({ name: 'express.mjs', below: [], path });
  const { port, hostname } = new URL(target);
  const socket = connect(Number(port), hostname);
  socket.write(`GET ${path}/test HTTP/1.1\r\nHost: no host\r\nConnection: close\r\n\r\n`);
  let answer = '';
  for await (const chunk of socket) answer += chunk;
  expect(answer).toMatch(/^HTTP\/1.1 500 /);
  expect((await fetch(`${target}/test`)).status).toBe(200);
});

test('every file in the examples folder is tested', () => {
  expect(readdirSync(folder).sort()).toEqual(examples.map(({ name }) => name).sort());
});

test('the example for Next.js can be loaded without settings, as `next build` does', async () => {
  const load = 'const { GET, POST } = await import(process.argv[1]); console.log(typeof GET, typeof POST)';
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', load, join(folder, 'next-route.ts')],
    { cwd: root, env: { PATH: process.env.PATH } },
  );
  expect(stdout).toBe('function function\n');
});

test('the examples in TypeScript pass the type check', async () => {
  const settings = join(temporaryFolder(), 'tsconfig.json');
  const types = { 'npm:calendly-sync': [join(root, 'dist/src/index.d.ts')] };
  const names = readdirSync(folder).filter((name) => name.endsWith('.ts'));
  writeFileSync(
    settings,
    JSON.stringify({
      extends: join(root, 'tsconfig.json'),
      compilerOptions: { paths: types, typeRoots: [join(root, 'node_modules/@types')] },
      include: [],
      files: names.map((name) => join(folder, name)),
    }),
  );
  const check = promisify(execFile)(join(root, 'node_modules/.bin/tsc'), ['--project', settings]);
  await expect(
    check.then(
      ({ stdout }) => stdout,
      ({ stdout }) => stdout,
    ),
  ).resolves.toBe('');
});
