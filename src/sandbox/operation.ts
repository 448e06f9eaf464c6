/** What an operation of the control is, and the parts of commands that several operations share. Knows no HTTP. */
import { z } from 'zod';
import type { MeetingView } from './resources.js';
import type { SandboxState } from './state.js';
import { type Micros, parseDuration, parseInstant } from './time.js';

/** Something that can be done to a sandbox: in a test, with curl, and described in `sandbox --help`. */
export interface Operation<Schema extends z.ZodType = z.ZodType, Result = unknown> {
  /** What it does, in one line. */
  summary: string;
  schema: Schema;
  /** @throws InvalidCommand for a command that cannot be executed */
  run(state: SandboxState, command: z.output<Schema>): Result;
  /** Method and path of the control API; `POST` and the name in kebab case when absent. */
  route?: string;
  /** The key under which the control API answers an array. */
  key?: string;
}

/** Infers the types of an operation. */
export function operation<Schema extends z.ZodType, Result>(
  definition: Operation<Schema, Result>,
): Operation<Schema, Result> {
  return definition;
}

/** A command that cannot be executed: it is malformed, or something that it names does not exist. */
export class InvalidCommand extends Error {
  override readonly name = 'InvalidCommand';
}

/** Checks a command and fills in the defaults. @throws InvalidCommand */
export function checked<Schema extends z.ZodType>(schema: Schema, command: unknown): z.output<Schema> {
  const result = schema.safeParse(command);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) =>
    [path.join('.'), message].filter(Boolean).join(': '),
  );
  throw new InvalidCommand(problems.join('; '));
}

/** A command without fields. */
export const nothing = z.strictObject({});
/** A host: its number, e-mail, slug or URI. */
export const host = z.union([z.int().nonnegative(), z.string()]);
/** An event: its URI or id. */
export const event = z.string().min(1);
/** An invitee: URI, id, or an e-mail within the event. */
export const invitee = z.string().min(1);
/** A time: `+36h`, `-2d` (from now) or in UTC. */
export const time = z.string().min(1);

/** The host that a command names. @throws InvalidCommand */
export function hostNamed({ organization: { hosts } }: SandboxState, name: number | string) {
  const found =
    typeof name === 'number'
      ? hosts[name]
      : hosts.find(({ user }) => user.uri === name || user.email === name || user.slug === name);
  if (!found) throw new InvalidCommand(`There is no host ${name}; there are ${hosts.length}, counted from 0`);
  return found;
}

/** The time that a command names. @throws InvalidCommand */
export function timeNamed({ clock }: SandboxState, text: string): Micros {
  const distance = /^[+-]/.test(text) ? parseDuration(text.slice(1)) : null;
  if (distance !== null) return clock.now() + (text.startsWith('-') ? -distance : distance);
  const at = parseInstant(text);
  if (at !== null) return at;
  throw new InvalidCommand(`"${text}" is not a valid time; write +36h, -2d or 2026-01-31T09:00:00Z`);
}

/** A copy of a meeting for the caller. */
export function viewOf({ event, invitees }: MeetingView): MeetingView {
  return structuredClone({ event, invitees });
}
