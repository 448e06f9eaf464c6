/**
 * The control of a sandbox. One table of operations gives the typed functions for tests, the routes below `/_control`
 * for curl, and the text of `sandbox --help`.
 */
import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { accountOperations } from './account-operations.js';
import { directoryOperations } from './directory-operations.js';
import { FAULT_KINDS } from './faults.js';
import { meetingOperations } from './meeting-operations.js';
import { InvalidCommand } from './operation.js';
import type { State } from './state.js';

const OPERATIONS = { ...meetingOperations, ...directoryOperations, ...accountOperations };

type Run = (state: State, command: unknown) => unknown;
type Command<Run> = Run extends (state: State, command: infer Fields) => unknown ? Fields : never;
type Bound<Run extends (...args: never[]) => unknown> =
  Record<never, never> extends Command<Run>
    ? (command?: Command<Run>) => ReturnType<Run>
    : (command: Command<Run>) => ReturnType<Run>;

/** Every operation as a function. Each throws InvalidCommand for a command that cannot be executed. */
export type Control = { [Name in keyof typeof OPERATIONS]: Bound<(typeof OPERATIONS)[Name]['run']> };

/** Binds the operations to a state. */
export function createControl(state: State): Control {
  const functions = Object.entries(OPERATIONS).map(([name, { run }]) => [
    name,
    (command: unknown = {}) => (run as Run)(state, command),
  ]);
  return Object.fromEntries(functions) as Control;
}

/** Routes below `/_control`: JSON in and out, only for callers on this machine. */
export function controlRoutes(state: State): Hono<{ Bindings: HttpBindings }> {
  const routes = new Hono<{ Bindings: HttpBindings }>();
  routes.use(async (c, next) => {
    const address = c.env.incoming.socket.remoteAddress ?? '';
    if (/^(127\.|::1$|::ffff:127\.)/.test(address)) return next();
    return c.json({ error: { message: 'The control API answers only callers on the same machine.' } }, 403);
  });
  for (const [name, { run }] of Object.entries(OPERATIONS)) {
    routes.on(['GET', 'POST'], `/${pathOf(name)}`, async (c) => {
      return Response.json((run as Run)(state, parseBody(await c.req.text())) ?? {});
    });
  }
  routes.all('*', (c) => {
    const known = Object.keys(OPERATIONS).map(pathOf).join(', ');
    return c.json({ error: { message: `${c.req.path} is not one of: ${known}` } }, 404);
  });
  routes.onError((error, c) => {
    return c.json({ error: { message: error.message } }, error instanceof InvalidCommand ? 400 : 500);
  });
  return routes;
}

/** `lose-access` for the operation `loseAccess`. */
const pathOf = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

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
  return Object.entries(OPERATIONS).flatMap(([name, { summary, fields }]) => {
    const title = `${pathOf(name).padEnd(20)} ${summary}`;
    return fields.length > 0 ? [title, `${' '.repeat(21)}{${fields.join(', ')}}`] : [title];
  });
}

/** One line about each kind of fault. */
export function describeFaults(): string[] {
  return Object.entries(FAULT_KINDS).map(([kind, { summary }]) => `${kind.padEnd(20)} ${summary}`);
}
