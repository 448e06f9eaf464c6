/**
 * `npm run bench [-- --events 20000 --deliveries 20000 --meetings 5000000 --database-url URL]`: the figures of the README, measured on this machine. The
 * database is a Postgres from npm unless one is named; its tables are emptied. One JSON document on stdout.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startPostgres } from '../support/postgres-server.js';
import { benchMigrations } from './migrations.js';
import { benchLargeAccount, benchStart, benchUsualAccount } from './sync.js';
import { benchWebhooks } from './webhooks.js';

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '20000' },
    deliveries: { type: 'string', default: '20000' },
    meetings: { type: 'string', default: '5000000' },
    'database-url': { type: 'string' },
  },
});
const root = join(import.meta.dirname, '../..');
execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
const given = values['database-url'];
const server = given ? { url: given, stop: async () => {} } : await startPostgres('18');
try {
  execFileSync(process.execPath, [join(root, 'dist/bin/calendly-sync.js'), 'migrate', '--quiet'], {
    env: { ...process.env, DATABASE_URL: server.url },
  });
  const note = (text: string) => process.stderr.write(`${text} …\n`);
  const figures: Record<string, unknown> = { node: process.version };
  note('start-up');
  figures.start = await benchStart(server.url);
  note('an account of 250 meetings at 120 ms');
  figures.usual_account = await benchUsualAccount(server.url);
  note(`an account of ${values.events} meetings`);
  figures.large_account = await benchLargeAccount(server.url, Number(values.events));
  note(`${values.deliveries} webhook deliveries`);
  figures.webhooks = await benchWebhooks(server.url, { deliveries: Number(values.deliveries) });
  note(`migrations on ${values.meetings} meetings of others, under load`);
  figures.migrations = await benchMigrations(server.url, { rows: Number(values.meetings) });
  process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`);
} finally {
  await server.stop();
}
