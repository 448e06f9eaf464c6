// Hono on Node: one route of your application.
import { serve } from '@hono/node-server';
import { createWebhookHandler, loadConfig, openServer, WEBHOOK_PATH } from 'calendly-sync';
import { Hono } from 'hono';

const { webhookSigningKeys: signingKeys } = loadConfig(process.env);
const handler = createWebhookHandler({
  database: openServer(process.env.DATABASE_URL, { prepare: true, max: 6 }),
  signingKeys,
});

const app = new Hono();
app.get('/', (c) => c.text('my application'));
app.all(WEBHOOK_PATH, (c) => handler(c.req.raw));
app.get(`${WEBHOOK_PATH}/test`, (c) => handler(c.req.raw));

serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 8787) }, ({ port }) =>
  console.log(`listening on ${port}`),
);
