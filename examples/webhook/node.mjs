// Node without a framework: the receiver as an HTTP server inside your program.
import { createWebhookHandler, loadConfig, logLines, openServer, startWebhookServer } from 'calendly-sync';

const config = loadConfig(process.env);
const database = openServer(process.env.DATABASE_URL, { prepare: true, max: 6 });
const handler = createWebhookHandler({
  database,
  signingKeys: config.webhookSigningKeys,
  toleranceMs: config.webhookToleranceMs,
  onEvent: (event) => {
    for (const { text } of logLines(event)) console.log(JSON.stringify(text));
  },
});
const server = await startWebhookServer(handler, {
  host: '127.0.0.1',
  port: Number(process.env.PORT ?? 8787),
});
console.log(`listening on ${server.url}`);

process.once('SIGTERM', async () => {
  await server.close();
  await database.close();
});
