// Next.js: put this at app/api/calendly/webhook/route.ts (and the same at …/webhook/test/route.ts for the test page).
import { createWebhookHandler, openServer } from 'calendly-sync';

// Node's runtime: the handler talks to Postgres over TCP.
export const runtime = 'nodejs';

const handler = createWebhookHandler({
  database: openServer(process.env.DATABASE_URL ?? ''),
  signingKeys: (process.env.CALENDLY_WEBHOOK_SIGNING_KEY ?? '').split(','),
});

export const POST = (request: Request) => handler(request);
export const GET = (request: Request) => handler(request);
