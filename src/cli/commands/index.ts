/** All commands, in the order of `--help`. Each file loads what it needs only when its command runs. */
import type { DefineCommand } from '../command.js';
import { cleanWebhooks } from './clean-webhooks.js';
import { demo } from './demo.js';
import { forceFull } from './force-full.js';
import { health } from './health.js';
import { migrate } from './migrate.js';
import { rollback } from './rollback.js';
import { sandbox } from './sandbox.js';
import { sync } from './sync.js';
import { webhook } from './webhook.js';

export const commands: readonly DefineCommand[] = [
  migrate,
  rollback,
  sync,
  forceFull,
  health,
  cleanWebhooks,
  webhook,
  demo,
  sandbox,
];
