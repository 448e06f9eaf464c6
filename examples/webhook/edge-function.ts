// An edge function on Deno (Supabase Edge Functions, Deno Deploy): a function of the name `calendly-webhook`.
// Its URL goes to `calendly-sync webhook subscribe --url https://PROJECT.supabase.co/functions/v1/calendly-webhook`.
// On Supabase it is deployed with `--no-verify-jwt`: Calendly signs its deliveries and sends no token of Supabase.
import { createWebhookHandler, openServer } from 'npm:calendly-sync';

declare const Deno: {
  env: { get(name: string): string | undefined };
  serve(handler: (request: Request) => Promise<Response>): void;
};

const handler = createWebhookHandler({
  database: openServer(Deno.env.get('DATABASE_URL') ?? '', { max: 2 }),
  signingKeys: (Deno.env.get('CALENDLY_WEBHOOK_SIGNING_KEY') ?? '').split(',').map((key) => key.trim()),
  // The platform strips what stands before the function's own name.
  path: '/calendly-webhook',
});

Deno.serve(handler);
