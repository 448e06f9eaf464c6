// Express: the body must reach the handler as the bytes that were signed, so that this route comes before `express.json()`.
import { createWebhookHandler, loadConfig, openServer, WEBHOOK_PATH } from 'calendly-sync';
import express from 'express';

const { webhookSigningKeys: signingKeys } = loadConfig(process.env);
const handler = createWebhookHandler({
  database: openServer(process.env.DATABASE_URL, { max: 6 }),
  signingKeys,
});

const app = express();
app.all(
  [WEBHOOK_PATH, `${WEBHOOK_PATH}/test`],
  express.raw({ type: () => true, limit: '1mb' }),
  async (req, res) => {
    const url = `${req.protocol}://${req.get('host')}${req.originalUrl}`;
    const body = Buffer.isBuffer(req.body) ? { body: req.body } : {};
    const answer = await handler(new Request(url, { method: req.method, headers: req.headers, ...body }));
    res
      .status(answer.status)
      .set(Object.fromEntries(answer.headers))
      .send(await answer.text());
  },
);
app.use(express.json());
app.listen(process.env.PORT ?? 8787);
