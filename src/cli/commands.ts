/** All commands, in the order of `--help`. Each file loads what it needs only when its command runs. */
import { account } from './account/command.js';
import { cleanWebhooks } from './clean-webhooks/command.js';
import type { DefineCommand } from './command.js';
import { demo } from './demo/command.js';
import { erase } from './erase/command.js';
import { grantRead } from './grant-read/command.js';
import { health } from './health/command.js';
import { meetings } from './meetings/command.js';
import { migrate } from './migrate/command.js';
import { rollback } from './migrate/rollback.js';
import { query } from './query/command.js';
import { report } from './report/command.js';
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
  meetings,
  report,
  query,
  verify,
  cleanWebhooks,
  grantRead,
  webhook,
  account,
  erase,
  demo,
  sandbox,
];
