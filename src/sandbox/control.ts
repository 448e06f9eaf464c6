/**
 * The control of a sandbox. One table of operations gives the typed functions for tests, the routes below `/_control`
 * for curl, and the text of `sandbox --help`.
 */
import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { z } from 'zod';
import { accountOperations } from './account-operations.js';
import { bookingOperations } from './booking-operations.js';
import { FAULT_KINDS } from './inject-fault.js';
import { checked, InvalidCommand, type Operation } from './operation.js';
import type { SandboxState } from './state.js';

const OPERATIONS = { ...bookingOperations, ...accountOperations };

type Operations = typeof OPERATIONS;
type Name = keyof Operations;
type Command<Op> = Op extends Operation<infer Schema> ? z.input<Schema> : never;
type Result<Op> = Op extends { run(...args: never[]): infer Value } ? Value : never;

/** Every operation as a function. Each throws InvalidCommand for a command that cannot be executed. */
export type Control = {
  [Key in Name]: Record<never, never> extends Command<Operations[Key]>
    ? (command?: Command<Operations[Key]>) => Result<Operations[Key]>
    : (command: Command<Operations[Key]>) => Result<Operations[Key]>;
};

const LIST = Object.entries(OPERATIONS).map(([name, { route, ...rest }]: [string, Operation]) => {
  const kebab = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const [method = '', path = ''] = (route ?? `POST ${kebab}`).split(' ');
  return { name, method, path, ...rest };
});

/** Binds the operations to a state. */
export function createControl(state: SandboxState): Control {
  const functions = LIST.map(({ name, schema, run }) => {
    const execute = (command: unknown = {}) => {
      state.meetings.beginCommand();
      return run(state, checked(schema, command));
    };
    return [name, execute];
  });
  return Object.fromEntries(functions) as Control;
}

/** Routes below `/_control`: JSON in and out, only for callers on this machine. */
export function controlRoutes(control: Control): Hono<{ Bindings: HttpBindings }> {
  const routes = new Hono<{ Bindings: HttpBindings }>();
  routes.use(async (c, next) => {
    const address = c.env.incoming.socket.remoteAddress ?? '';
    if (/^(127\.|::1$|::ffff:127\.)/.test(address)) return next();
    return c.json({ error: { message: 'The control API answers only callers on the same machine.' } }, 403);
  });
  for (const { name, method, path, key } of LIST) {
    const execute = control[name as Name] as (command: unknown) => object;
    routes.on(method, `/${path}`, async (c) => {
      const result = execute(method === 'POST' ? parseBody(await c.req.text()) : {});
      return c.json(Array.isArray(result) && key ? { [key]: result } : result);
    });
  }
  routes.all('*', (c) => {
    const known = LIST.map(({ method, path }) => `${method} ${path}`).join(', ');
    return c.json({ error: { message: `${c.req.method} ${c.req.path} is not one of: ${known}` } }, 404);
  });
  routes.onError((error, c) => {
    return c.json({ error: { message: error.message } }, error instanceof InvalidCommand ? 400 : 500);
  });
  return routes;
}

/** The body as JSON, whatever type curl declares; an empty one is a command without fields. */
function parseBody(body: string): unknown {
  if (body.trim() === '') return {};
  try {
    return JSON.parse(body);
  } catch {
    throw new InvalidCommand('The body is not valid JSON');
  }
}

/** One line about each operation, and the fields of its command in a second one. */
export function describeOperations(): string[] {
  return LIST.flatMap(({ method, path, summary, schema }) => {
    const fields = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
    const title = `${`${method} ${path}`.padEnd(27)} ${summary}`;
    return fields.length > 0 ? [title, `${' '.repeat(28)}{${fields.join(', ')}}`] : [title];
  });
}

/** One line about each kind of fault. */
export function describeFaults(): string[] {
  return Object.entries(FAULT_KINDS).map(([kind, { summary }]) => `${kind.padEnd(20)} ${summary}`);
}
