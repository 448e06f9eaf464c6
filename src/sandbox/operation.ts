/** What an operation of the control is, and how commands name hosts and times. Knows no HTTP. */
import { z } from 'zod';
import type { Host } from './organization.js';
import type { State } from './state.js';
import { type Micros, parseDuration, parseInstant } from './time.js';

/** A command that cannot be executed: it is malformed, or something that it names does not exist. */
export class InvalidCommand extends Error {
  override readonly name = 'InvalidCommand';
}

/** Something that can be done to a sandbox. @param summary what, in one line @param fields of its command */
export function operation<Fields extends z.ZodRawShape, Result>(
  summary: string,
  fields: Fields,
  execute: (state: State, command: z.output<z.ZodObject<Fields>>) => Result,
) {
  const schema = z.strictObject(fields);
  /** @throws InvalidCommand */
  const run = (state: State, command: z.input<z.ZodObject<Fields>>): Result => {
    const checked = schema.safeParse(command);
    if (!checked.success) throw new InvalidCommand(z.prettifyError(checked.error));
    return execute(state, checked.data as never);
  };
  return { summary, fields: Object.keys(fields), run };
}

/** A host: its number, e-mail, slug or URI. */
export const host = z.union([z.int().nonnegative(), z.string()]);

/** @throws InvalidCommand */
export function hostNamed({ organization: { hosts } }: State, name: number | string): Host {
  const found = hosts.find(({ user }, number) => [number, user.uri, user.email, user.slug].includes(name));
  if (!found) throw new InvalidCommand(`There is no host ${name}; there are ${hosts.length}, counted from 0`);
  return found;
}

/** A time: `+36h`, `-2d` (from now) or in UTC. */
export const time = z.string().min(1);

/** @throws InvalidCommand */
export function timeNamed({ clock }: State, text: string): Micros {
  const distance = /^[+-]/.test(text) ? parseDuration(text.slice(1)) : null;
  if (distance !== null) return clock.now() + (text.startsWith('-') ? -distance : distance);
  const at = parseInstant(text);
  if (at !== null) return at;
  throw new InvalidCommand(`"${text}" is not a valid time; write +36h, -2d or 2026-01-31T09:00:00Z`);
}
