/** The control API: `/_control/…` beside the API, JSON in and out, for curl. Only for callers on this machine. */
import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { OrderError } from './commands.js';
import type { Control } from './control.js';
import type { RequestLog } from './request-log.js';

type ControlEnv = { Bindings: HttpBindings };

/** What a POST to each path does. */
const ORDERS = {
  book: 'book',
  cancel: 'cancel',
  reschedule: 'reschedule',
  join: 'join',
  leave: 'leave',
  'no-show': 'noShow',
  edit: 'edit',
  delete: 'delete',
  'lose-access': 'loseAccess',
  restore: 'restore',
  fail: 'fail',
  grant: 'grant',
  revoke: 'revoke',
  advance: 'advance',
  'rate-limit': 'setRateLimit',
  webhooks: 'setWebhooks',
  redeliver: 'redeliver',
  'disable-subscription': 'disableSubscription',
} as const satisfies Record<string, keyof Control>;

/** Routes below `/_control`. */
export function controlRoutes(control: Control, log: RequestLog): Hono<ControlEnv> {
  const routes = new Hono<ControlEnv>();
  routes.use(async (c, next) => {
    const address = c.env.incoming.socket.remoteAddress ?? '';
    if (!/^(127\.|::1$|::ffff:127\.)/.test(address)) {
      return c.json({ error: { message: 'The control API answers only callers on the same machine.' } }, 403);
    }
    return next();
  });
  for (const [path, operation] of Object.entries(ORDERS)) {
    routes.post(`/${path}`, async (c) => {
      const order = await readOrder(c);
      // Each operation checks its own order; here they are all the same to us.
      const carryOut = control[operation] as (order: unknown) => object;
      return c.json(carryOut(order));
    });
  }
  routes.get('/state', () => streamed(control.meetings()));
  routes.get('/requests', (c) => c.json({ total: log.total(), requests: log.entries() }));
  routes.delete('/requests', (c) => {
    log.reset();
    return c.json({ total: 0, requests: [] });
  });
  routes.get('/faults', (c) => c.json({ faults: control.faults() }));
  routes.delete('/faults', (c) => {
    control.clearFaults();
    return c.json({ faults: [] });
  });
  routes.get('/deliveries', (c) => c.json({ deliveries: control.deliveries() }));
  routes.get('/clock', (c) => c.json(control.clock()));
  routes.all('*', (c) => {
    const paths = [...Object.keys(ORDERS).map((path) => `POST ${path}`), ...READS];
    return c.json(
      { error: { message: `${c.req.method} ${c.req.path} is none of: ${paths.join(', ')}` } },
      404,
    );
  });
  routes.onError((thrown, c) => {
    return c.json({ error: { message: thrown.message } }, thrown instanceof OrderError ? 400 : 500);
  });
  return routes;
}

const READS = [
  'GET state',
  'GET requests',
  'DELETE requests',
  'GET faults',
  'DELETE faults',
  'GET deliveries',
  'GET clock',
];

/** The body as JSON, whatever type curl says it is; an empty one is an empty order. */
async function readOrder(c: Context<ControlEnv>): Promise<unknown> {
  const body = await c.req.text();
  if (body.trim() === '') return {};
  try {
    return JSON.parse(body);
  } catch {
    throw new OrderError('The body is no JSON');
  }
}

/** `{"meetings":[…]}` piece by piece: a million of them fit in no string. */
function streamed(meetings: Iterator<object>): Response {
  const encoder = new TextEncoder();
  let text = '{"meetings":[\n';
  let first = true;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      for (; text.length < PIECE; first = false) {
        const next = meetings.next();
        if (next.done) {
          controller.enqueue(encoder.encode(`${text}]}\n`));
          controller.close();
          return;
        }
        text += `${first ? '' : ',\n'}${JSON.stringify(next.value)}`;
      }
      controller.enqueue(encoder.encode(text));
      text = '';
    },
  });
  return new Response(stream, { headers: { 'content-type': 'application/json' } });
}

/** How many characters are sent at a time. */
const PIECE = 100_000;
