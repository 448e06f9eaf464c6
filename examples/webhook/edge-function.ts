// An edge function on Deno (Supabase Edge Functions, Deno Deploy), named `calendly-webhook`. Subscribe with
// `calendly-sync webhook subscribe --url https://PROJECT.supabase.co/functions/v1/calendly-webhook`.
// On Supabase, deploy it with `--no-verify-jwt`: Calendly signs its deliveries but sends no Supabase token.
import { createWebhookHandler, openServer } from 'npm:calendly-sync';

declare const Deno: {
  env: { get(name: string): string | undefined };
  serve(handler: (request: Request) => Promise<Response>): void;
};

const handler = createWebhookHandler({
  database: openServer(Deno.env.get('DATABASE_URL') ?? '', { max: 2 }),
  signingKeys: (Deno.env.get('CALENDLY_WEBHOOK_SIGNING_KEY') ?? '').split(',').map((key) => key.trim()),
  // The platform removes the path before the function's name.
  path: '/calendly-webhook',
});

Deno.serve(handler);
