// graphile-worker 0.17 (0.18 needs Node 22): a recurring task that syncs whoever is due. A worker that is killed keeps its
// job locked for 4 hours; the next start of the crontab is a job of its own, so that nothing waits for it.
import { loadConfig, openServer, syncDue } from 'calendly-sync';
import { run } from 'graphile-worker';

const config = loadConfig(process.env);
const database = openServer(config.databaseUrl ?? '', { max: 6 });
const stop = new AbortController();
const runner = await run({
  connectionString: config.databaseUrl ?? '',
  maxPoolSize: 3,
  // Two, so that a pass that takes long does not stop the next one.
  concurrency: 2,
  noHandleSignals: true,
  crontab: '*/5 * * * * calendly_sync ?max=1',
  taskList: {
    async calendly_sync() {
      const due = process.env.DUE ?? '15m';
      const { complete, failed, skipped } = await syncDue({ database, config, due, signal: stop.signal });
      console.log(JSON.stringify({ complete, failed, skipped }));
    },
  },
});
await runner.addJob('calendly_sync');

process.once('SIGTERM', async () => {
  stop.abort();
  await runner.stop();
  await database.close();
});
