// Express 4 or 5. The handler needs the body as the bytes that were signed: mount these routes before `express.json()`.
import { createWebhookHandler, loadConfig, openServer, WEBHOOK_PATH } from 'calendly-sync';
import express from 'express';

const { webhookSigningKeys: signingKeys } = loadConfig(process.env);
const handler = createWebhookHandler({
  database: openServer(process.env.DATABASE_URL, { prepare: true, max: 6 }),
  signingKeys,
});

async function calendly(req, res, next) {
  try {
    const url = `${req.protocol}://${req.get('host')}${req.originalUrl}`;
    const body = Buffer.isBuffer(req.body) ? { body: req.body } : {};
    const answer = await handler(new Request(url, { method: req.method, headers: req.headers, ...body }));
    res
      .status(answer.status)
      .set(Object.fromEntries(answer.headers))
      .send(await answer.text());
  } catch (error) {
    // Express 4 does not catch errors of async functions.
    next(error);
  }
}

const app = express();
app.post(WEBHOOK_PATH, express.raw({ type: () => true, limit: '256kb' }), calendly);
app.get(`${WEBHOOK_PATH}/test`, calendly);
app.use(express.json());
app.listen(process.env.PORT ?? 8787, () => console.log('listening'));
