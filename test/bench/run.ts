/**
 * `npm run bench [-- PART --events 20000 --accounts 1000,10000 --database-url URL …]`: measures one part or all on this
 * machine and prints one JSON document. The database is a Postgres from npm unless one is named; its tables are
 * emptied.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startPostgres } from '../support/postgres-server.js';
import { benchAccounts } from './accounts.js';
import { benchClient } from './client.js';
import { benchMigrations } from './migrations.js';
import { benchReports } from './reports.js';
import { benchLargeAccount, benchMemory, benchStart, benchUsualAccount } from './sync.js';
import { benchWebhooks } from './webhooks.js';
import { benchWrites } from './writes.js';

const { values, positionals } = parseArgs({
  options: {
    events: { type: 'string', default: '20000' },
    deliveries: { type: 'string', default: '20000' },
    meetings: { type: 'string', default: '5000000' },
    accounts: { type: 'string', default: '1000,10000' },
    only: { type: 'string' },
    'database-url': { type: 'string' },
  },
  allowPositionals: true,
});
const only = values.only ?? positionals[0];
const root = join(import.meta.dirname, '../..');
execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
const given = values['database-url'];
// Webhooks promise what a commit promises: without fsync, they would be compared with a server that promises nothing.
const settings = only === 'webhooks' ? {} : undefined;
const server = given ? { url: given, stop: async () => {} } : await startPostgres('18', settings);
try {
  execFileSync(process.execPath, [join(root, 'dist/bin/calendly-sync.js'), 'migrate', '--quiet'], {
    env: { ...process.env, DATABASE_URL: server.url },
  });
  const { url } = server;
  const events = Number(values.events);
  const parts: [name: string, title: string, measure: () => Promise<unknown>][] = [
    ['start', 'the start of the program', () => benchStart(url)],
    ['usual_account', 'an account of 250 meetings at 120 ms', () => benchUsualAccount(url)],
    ['large_account', `an account of ${events} meetings`, () => benchLargeAccount(url, events)],
    ['memory', `1 and ${events} meetings, and 200 with 1,000 invitees`, () => benchMemory(url, events)],
    ['client', 'the client beside fetch', () => benchClient(url, Math.min(events, 5_000))],
    [
      'writes',
      'the write path beside unnest inserts and COPY',
      () => benchWrites(url, Math.min(events, 10_000)),
    ],
    [
      'webhooks',
      `${values.deliveries} webhook deliveries`,
      () => benchWebhooks(url, { deliveries: Number(values.deliveries) }),
    ],
    [
      'accounts',
      `${values.accounts} unchanged accounts`,
      () => benchAccounts(url, values.accounts.split(',').map(Number)),
    ],
    ['reports', 'reports over 100,000 meetings and 160,000 invitees', () => benchReports(url)],
    [
      'migrations',
      `migrations beside ${values.meetings} other meetings, under load`,
      () => benchMigrations(url, { rows: Number(values.meetings) }),
    ],
  ];
  const figures: Record<string, unknown> = { node: process.version };
  for (const [name, title, measure] of parts) {
    if (only !== undefined && only !== name) continue;
    process.stderr.write(`${title} …\n`);
    figures[name] = await measure();
  }
  process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`);
} finally {
  await server.stop();
}
