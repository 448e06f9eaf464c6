/**
 * Runs an example as its platform would, as far as the example touches it: `node --import tsx platform.ts FILE`, with PORT set.
 * Next.js is there as the routing of a route file, Deno as `Deno.env` and `Deno.serve`, Express as `express-stand-in.ts`, unless
 * the real one is installed.
 */
import { register } from 'node:module';
import { serve } from '@hono/node-server';
import { WEBHOOK_PATH } from '../../src/webhook/receiver/handler.js';

const [file = ''] = process.argv.slice(2);
const port = Number(process.env.PORT);
const standIn = new URL('./express-stand-in.ts', import.meta.url).href;

register(
  `data:text/javascript,${encodeURIComponent(`
    export async function resolve(name, context, next) {
      if (name.startsWith('npm:')) return next(name.slice(4), context);
      if (name !== 'express') return next(name, context);
      return next(name, context).catch(() => next('${standIn}', context));
    }`)}`,
);

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
    const answer = route[request.method];
    if (pathname !== WEBHOOK_PATH && pathname !== `${WEBHOOK_PATH}/test`)
      return new Response(null, { status: 404 });
    return typeof answer === 'function' ? answer(request) : new Response(null, { status: 405 });
  });
}
