/**
 * Runs an example as its platform would: `node --import tsx platform.ts FILE`, with PORT set. Simulates the routing of
 * Next.js, and Deno's `Deno.env` and `Deno.serve`.
 */
import { register } from 'node:module';
import { serve } from '@hono/node-server';
import { WEBHOOK_PATH } from '../../src/webhook/receiver/handler.js';

const [file = ''] = process.argv.slice(2);
const port = Number(process.env.PORT);
// Deno's `npm:calendly-sync` is this package.
const hooks = `export const resolve = (name, context, next) => next(name.replace(/^npm:/, ''), context);`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);

const listen = (fetch: (request: Request) => Response | Promise<Response>) =>
  serve({ fetch, port }, () => console.log('listening'));

if (file.endsWith('edge-function.ts')) {
  Object.assign(globalThis, {
    Deno: { env: { get: (name: string) => process.env[name] }, serve: listen },
  });
}
const route: Record<string, unknown> = await import(file);
if (file.endsWith('next-route.ts')) {
  listen((request) => {
    const { pathname } = new URL(request.url);
    const handler = route[request.method];
    if (pathname !== WEBHOOK_PATH && pathname !== `${WEBHOOK_PATH}/test`)
      return new Response(null, { status: 404 });
    return typeof handler === 'function' ? handler(request) : new Response(null, { status: 405 });
  });
}
