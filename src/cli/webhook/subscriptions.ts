/** What `webhook subscribe`, `list` and `unsubscribe` do between their flags and their answer. Loaded when one of them runs. */

import { resolveAccount } from '../../accounts/resolve.js';
import { requireWebhookSchema } from '../../database/schema.js';
import { CalendlySyncError } from '../../errors.js';
import { requireToken } from '../../sync/sync.js';
import { WEBHOOK_PATH } from '../../webhook/receiver/handler.js';
import {
  listSubscriptions,
  newSigningKey,
  type SubscriberOptions,
  subscribe,
  unsubscribe,
} from '../../webhook/subscriptions/subscribe.js';
import { clientFor } from '../client.js';
import type { CommandContext, CommandResult } from '../command.js';
import { withDatabase } from '../database.js';
import { oneLine } from '../terminal/sanitize.js';

/** Makes the subscription and, where none is set, the key. */
export function runSubscribe(
  context: CommandContext,
  flags: { url: string; scope: 'user' | 'organization' },
): Promise<CommandResult> {
  const { config, output } = context;
  return withAccount(context, async (subscriber) => {
    const [set] = config.webhookSigningKeys;
    const signingKey = set ?? newSigningKey();
    const url = withPath(flags.url);
    const { subscription, made, replaced } = await subscribe(subscriber, { ...flags, url, signingKey });
    const what = made ? 'Calendly tells' : 'Calendly tells already';
    output.result(`✅ ${what} ${oneLine(url)} of bookings (scope ${flags.scope}).`, 'good');
    if (replaced !== null) output.note(`It took the place of ${oneLine(replaced)}.`, 'dim');
    const key = set === undefined && made ? signingKey : null;
    if (key !== null) {
      // Shown under --quiet too: nobody can ever ask for it again.
      const say = output.quiet ? output.warn : output.result;
      say('The signing key, shown this once. Put this line into .env and restart the receiver:');
      say(`CALENDLY_WEBHOOK_SIGNING_KEY=${key}`);
    }
    return { document: { subscription, made, replaced, signing_key: key } };
  });
}

/** A URL that names only the origin is that of our receiver there; a query stays. */
function withPath(url: string): string {
  const given = new URL(url);
  return given.pathname === '/' ? Object.assign(given, { pathname: WEBHOOK_PATH }).href : url;
}

/** Shows the subscriptions that the account may see. */
export function runList(context: CommandContext): Promise<CommandResult> {
  const { output } = context;
  return withAccount(context, async (subscriber) => {
    const subscriptions = await listSubscriptions(subscriber);
    if (subscriptions.length === 0) output.result('There is no webhook subscription.');
    else {
      await output.table(
        ['state', 'scope', 'ours', 'url', 'events', 'retrying since', 'uri'],
        subscriptions.map((one) => [
          { text: one.state ?? '', tone: one.state === 'active' ? ('good' as const) : ('bad' as const) },
          one.scope ?? '',
          one.ours ? 'yes' : 'no',
          oneLine(one.callback_url ?? ''),
          (one.events ?? []).join(' '),
          { text: one.retry_started_at ?? '', tone: 'warn' as const },
          oneLine(one.uri),
        ]),
      );
    }
    return { document: { subscriptions } };
  });
}

/** Deletes our subscription. */
export function runUnsubscribe(context: CommandContext): Promise<CommandResult> {
  const { output } = context;
  return withAccount(context, async (subscriber) => {
    const removed = await unsubscribe(subscriber);
    output.result(
      removed === null
        ? 'There is no subscription of ours.'
        : `Removed ${oneLine(removed)}; nothing comes by webhook any more.`,
    );
    return { document: { removed } };
  });
}

/** Opens the database, finds out whose token it is, and runs `work` for that account. */
function withAccount(
  context: CommandContext,
  work: (subscriber: SubscriberOptions) => Promise<CommandResult>,
): Promise<CommandResult> {
  const token = requireToken(context.config);
  return withDatabase(context, async (database) => {
    await database.transaction(requireWebhookSchema, { readOnly: true });
    const client = clientFor(context, token);
    const { account } = await resolveAccount(database, client, token, [], true);
    if (account === null) throw new CalendlySyncError('failed', 'The account could not be stored.');
    return work({ database, client, accountId: account.id });
  });
}
