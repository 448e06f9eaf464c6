// Next.js: save this as app/api/calendly/webhook/route.ts. For the test page, put `export { GET } from '../route'` into
// app/api/calendly/webhook/test/route.ts.
import { createWebhookHandler, loadConfig, openServer, type WebhookHandler } from 'calendly-sync';

// The Node runtime: the handler connects to Postgres over TCP.
export const runtime = 'nodejs';
export const dynamic = 'force-dynamic';

// Created by the first request: `next build` also loads this file, perhaps without a key and a database.
let handler: WebhookHandler | undefined;

function calendly(request: Request): Promise<Response> {
  handler ??= createWebhookHandler({
    database: openServer(process.env.DATABASE_URL ?? ''),
    signingKeys: loadConfig(process.env).webhookSigningKeys,
  });
  return handler(request);
}

export { calendly as GET, calendly as POST };
