/** All commands, in the order of `--help`. Each file loads what it needs only when its command runs. */
import type { DefineCommand } from './command.js';

const COMMANDS: Readonly<Record<string, () => Promise<DefineCommand>>> = {
  migrate: async () => (await import('./migrate/command.js')).migrate,
  rollback: async () => (await import('./migrate/rollback.js')).rollback,
  sync: async () => (await import('./sync/command.js')).sync,
  'force-full': async () => (await import('./sync/command.js')).forceFull,
  health: async () => (await import('./health/command.js')).health,
  runs: async () => (await import('./runs/command.js')).runs,
  meetings: async () => (await import('./meetings/command.js')).meetings,
  report: async () => (await import('./report/command.js')).report,
  query: async () => (await import('./query/command.js')).query,
  verify: async () => (await import('./verify/command.js')).verify,
  'clean-webhooks': async () => (await import('./clean-webhooks/command.js')).cleanWebhooks,
  'grant-read': async () => (await import('./grant-read/command.js')).grantRead,
  webhook: async () => (await import('./webhook/command.js')).webhook,
  account: async () => (await import('./account/command.js')).account,
  erase: async () => (await import('./erase/command.js')).erase,
  doctor: async () => (await import('./doctor/command.js')).doctor,
  config: async () => (await import('./config/command.js')).config,
  completion: async () => (await import('./completion/command.js')).completion,
  demo: async () => (await import('./demo/command.js')).demo,
  sandbox: async () => (await import('./sandbox/command.js')).sandbox,
};

/** The one command that the first argument names, because loading all takes time; all of them for other arguments. */
export function loadCommands([first = '']: readonly string[]): Promise<DefineCommand[]> {
  const named = Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined;
  return Promise.all((named ? [named] : Object.values(COMMANDS)).map((load) => load()));
}
