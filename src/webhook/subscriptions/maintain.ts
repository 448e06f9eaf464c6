/** How commands look after webhooks besides their own work: `health` looks, `sync` repairs. */
import { type CalendlyClient, createCalendlyClient } from '../../calendly/client.js';
import type { CommandContext } from '../../cli/command.js';
import { oneLine } from '../../cli/terminal/sanitize.js';
import type { Database } from '../../database/connection.js';
import { requireSchema } from '../../database/schema.js';
import { toCalendlySyncError } from '../../errors.js';
import { checkWebhooks, type WebhookCheck } from '../../health/checks/webhooks.js';
import { replayWebhookEvents } from '../replay.js';
import { type Repair, repairSubscription } from './repair.js';

type Context = Pick<CommandContext, 'config' | 'output' | 'signal'>;

/** A health report should not wait long for somebody who does not answer. */
const LOOK_TIMEOUT_MS = 5_000;

/** What is wrong with webhooks; Calendly is asked unless `offline`, and only where there is a subscription of ours. */
export function watchFor(context: Context, database: Database, offline: boolean): Promise<WebhookCheck> {
  const { calendlyToken: token, webhookSigningKeys: signingKeys } = context.config;
  const client = offline || token === null ? null : clientFor(context, token, LOOK_TIMEOUT_MS);
  return checkWebhooks({ database, client, token, signingKeys });
}

/**
 * Makes a disabled subscription anew, before a sync that then sweeps what was missed. Its failure is shown and stops no sync.
 * @returns null where there is no subscription of ours
 */
export async function repairFor(context: Context, database: Database): Promise<Repair | null> {
  const { output, config } = context;
  const { calendlyToken: token, webhookSigningKeys: signingKeys } = config;
  if (token === null || !(await haveWebhooks(database))) return null;
  try {
    const client = clientFor(context, token);
    const repair = await repairSubscription({ database, client, token, signingKeys });
    if (repair?.renewed)
      output.warn(`Calendly had ${WORDS[repair.state]} our webhook subscription: it is made anew.`);
    if (repair?.problem) {
      const why = repair.problem === 'no_key' ? 'is not set' : 'is not the key that it was made with';
      output.warn(
        `Calendly has ${WORDS[repair.state]} our webhook subscription, and CALENDLY_WEBHOOK_SIGNING_KEY ${why}: calendly-sync webhook subscribe --url U`,
      );
    }
    return repair;
  } catch (thrown) {
    if (!context.signal.aborted)
      output.warn(`The webhook subscription was not looked after: ${toCalendlySyncError(thrown).message}`);
    return null;
  }
}

const WORDS = { active: 'kept', disabled: 'disabled', gone: 'lost' } as const;

/** Applies deliveries that waited for this sync: their host is connected now, or their meeting is there. */
export async function replayFor({ output, signal }: Context, database: Database): Promise<void> {
  if (signal.aborted || !(await haveWebhooks(database))) return;
  const { applied, failed } = await replayWebhookEvents({ database, signal });
  if (applied > 0) output.note(`${applied} webhook deliveries that had waited are applied.`);
  for (const { error } of failed.slice(0, 1))
    output.warn(`${failed.length} webhook deliveries cannot be applied: ${oneLine(error)}`);
}

/** Without migration 022 a sync works, and there are no webhooks. */
async function haveWebhooks(database: Database): Promise<boolean> {
  const { hasSyncState } = await database.transaction(requireSchema, { readOnly: true });
  return hasSyncState;
}

/** A client whose requests --verbose shows. */
export function clientFor(
  { config, output, signal }: Context,
  token: string,
  timeoutMs?: number,
): CalendlyClient {
  return createCalendlyClient({
    baseUrl: config.calendlyApiUrl,
    token,
    signal,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    onAttempt: ({ method, path, outcome, latencyMs }) =>
      output.detail(`${method} ${path} → ${outcome}, ${latencyMs} ms`),
  });
}
