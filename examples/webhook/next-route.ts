// Next.js: put this at app/api/calendly/webhook/route.ts, and `export { GET } from '../route'` at …/webhook/test/route.ts for the test page.
import { createWebhookHandler, loadConfig, openServer, type WebhookHandler } from 'calendly-sync';

// Node's runtime: the handler talks to Postgres over TCP.
export const runtime = 'nodejs';
export const dynamic = 'force-dynamic';

// Made with the first request: `next build` loads this file too, where there may be no key and no database.
let handler: WebhookHandler | undefined;

function calendly(request: Request): Promise<Response> {
  handler ??= createWebhookHandler({
    database: openServer(process.env.DATABASE_URL ?? ''),
    signingKeys: loadConfig(process.env).webhookSigningKeys,
  });
  return handler(request);
}

export { calendly as GET, calendly as POST };
