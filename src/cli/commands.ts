/** All commands, in the order of `--help`. Each file loads what it needs only when its command runs. */
import { account } from './account/command.js';
import { cleanWebhooks } from './clean-webhooks/command.js';
import type { DefineCommand } from './command.js';
import { demo } from './demo/command.js';
import { health } from './health/command.js';
import { migrate } from './migrate/command.js';
import { rollback } from './migrate/rollback.js';
import { sandbox } from './sandbox/command.js';
import { forceFull, sync } from './sync/command.js';
import { verify } from './verify/command.js';
import { webhook } from './webhook/command.js';

export const commands: readonly DefineCommand[] = [
  migrate,
  rollback,
  sync,
  forceFull,
  health,
  verify,
  cleanWebhooks,
  webhook,
  account,
  demo,
  sandbox,
];
