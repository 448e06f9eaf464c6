/** What an operation of the control is, and the parts of commands that several operations share. Knows no HTTP. */
import { z } from 'zod';
import type { MeetingView } from './resources.js';
import type { SandboxState } from './state.js';
import { type Micros, parseDuration, parseInstant } from './time.js';

/** A command that cannot be executed: it is malformed, or something that it names does not exist. */
export class InvalidCommand extends Error {
  override readonly name = 'InvalidCommand';
}

/**
 * Something that can be done to a sandbox: in a test, with curl, and described in `sandbox --help`.
 * @param route method and path of the control API @param summary what it does, in one line
 * @param fields of its command
 */
export function operation<Fields extends z.ZodRawShape, Result>(
  route: string,
  summary: string,
  fields: Fields,
  execute: (state: SandboxState, command: z.output<z.ZodObject<Fields>>) => Result,
) {
  const schema = z.strictObject(fields);
  /** @throws InvalidCommand */
  const run = (state: SandboxState, command: z.input<z.ZodObject<Fields>>): Result => {
    const checked = schema.safeParse(command);
    if (checked.success) return state.meetings.command(() => execute(state, checked.data as never));
    const problems = checked.error.issues.map(({ path, message }) =>
      [path.join('.'), message].filter(Boolean).join(': '),
    );
    throw new InvalidCommand(problems.join('; '));
  };
  return { route, summary, fields: Object.keys(fields), run };
}

/** A host: its number, e-mail, slug or URI. */
export const host = z.union([z.int().nonnegative(), z.string()]);
/** The event that a command is about: its URI or id. */
export const subject = { event: z.string().min(1) };
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
