// pg-boss 10 (11 and later need Node 22): one recurring job that syncs whoever is due. pg-boss may start a job twice, when
// a worker was frozen for longer than its expiry; the lease on each account makes that harmless.
import { loadConfig, openServer, syncDue } from 'calendly-sync';
import PgBoss from 'pg-boss';

const QUEUE = 'calendly-sync';

const config = loadConfig(process.env);
const database = openServer(config.databaseUrl ?? '', { max: 6 });
const boss = new PgBoss({ connectionString: config.databaseUrl ?? '', max: 2 });
boss.on('error', console.error);
await boss.start();
// `stately`: at most one job waits and one is active, however slow a pass is.
const create = () => boss.createQueue(QUEUE, { name: QUEUE, policy: 'stately', expireInMinutes: 60 });
// Two workers that create it at the same moment deadlock in pg-boss.
await create().catch(create);
await boss.schedule(QUEUE, '*/5 * * * *');
await boss.send(QUEUE, {});
const stop = new AbortController();
await boss.work(QUEUE, async () => {
  const { complete, failed, skipped } = await syncDue({
    database,
    config,
    due: process.env.DUE ?? '15m',
    signal: stop.signal,
  });
  console.log(JSON.stringify({ complete, failed, skipped }));
});

process.once('SIGTERM', async () => {
  stop.abort();
  await boss.stop();
  await database.close();
});
