/** What `webhook subscribe`, `list` and `unsubscribe` do after their flags are parsed. */
import { resolveAccount } from '../../accounts/resolve.js';
import { createCalendlyClient } from '../../calendly/client.js';
import { requireWebhookSchema } from '../../database/schema.js';
import { CalendlySyncError } from '../../errors.js';
import { requireToken } from '../../sync/options.js';
import {
  listSubscriptions,
  newSigningKey,
  type SubscriberOptions,
  subscribe,
  unsubscribe,
} from '../../webhook/subscriptions/subscribe.js';
import type { CommandContext, CommandResult } from '../command.js';
import { withDatabase } from '../database.js';
import { showAttempt } from '../show-attempt.js';
import { oneLine } from '../terminal/sanitize.js';
import { requirePong, withPath } from './ping.js';

interface SubscribeFlags {
  url: string;
  scope: 'user' | 'organization';
  /** False subscribes without checking the receiver. */
  ping: boolean;
}

/** Creates the subscription and, if none is set, the signing key. */
export function runSubscribe(context: CommandContext, flags: SubscribeFlags): Promise<CommandResult> {
  const { config, output } = context;
  return withAccount(context, async (subscriber) => {
    const [set] = config.webhookSigningKeys;
    const signingKey = set ?? newSigningKey();
    const url = withPath(flags.url);
    // A receiver cannot have a key that is only created now.
    if (flags.ping && set !== undefined) await requirePong(context, url, set);
    const { subscription, made, replaced } = await subscribe(subscriber, {
      scope: flags.scope,
      url,
      signingKey,
    });
    const what = made ? 'Calendly now sends' : 'Calendly already sends';
    output.result(`✅ ${what} bookings to ${oneLine(url)} (scope ${flags.scope}).`, 'good');
    if (replaced !== null) output.note(`Replaced ${oneLine(replaced)}.`, 'dim');
    const key = set === undefined && made ? signingKey : null;
    if (key !== null) {
      // Printed under --quiet too: it cannot be shown again.
      const print = output.quiet ? output.warn : output.result;
      print('The signing key, shown only once. Put this line into .env and restart the receiver:');
      print(`CALENDLY_WEBHOOK_SIGNING_KEY=${key}`);
      output.note('Then check the way to it: calendly-sync webhook ping');
    }
    return { document: { subscription, made, replaced, signing_key: key } };
  });
}

/** Shows the subscriptions that the account can see. */
export function runList(context: CommandContext): Promise<CommandResult> {
  const { output } = context;
  return withAccount(context, async (subscriber) => {
    const subscriptions = await listSubscriptions(subscriber);
    if (subscriptions.length === 0) output.result('There are no webhook subscriptions.');
    const head = ['url', 'state', 'scope', 'ours', 'events', 'retrying since', 'uri'];
    const rows = subscriptions.map((one) => [
      oneLine(one.callback_url ?? ''),
      { text: one.state ?? '', tone: one.state === 'active' ? ('good' as const) : ('bad' as const) },
      one.scope ?? '',
      one.ours ? 'yes' : 'no',
      (one.events ?? []).join(' '),
      { text: one.retry_started_at ?? '', tone: 'warn' as const },
      oneLine(one.uri),
    ]);
    if (rows.length > 0) await output.table(head, rows, { blocks: true });
    return { document: { subscriptions } };
  });
}

/** Deletes the subscription of calendly-sync. */
export function runUnsubscribe(context: CommandContext): Promise<CommandResult> {
  return withAccount(context, async (subscriber) => {
    const removed = await unsubscribe(subscriber);
    context.output.result(
      removed === null
        ? 'calendly-sync has no subscription here.'
        : `Removed ${oneLine(removed)}; Calendly sends no more webhooks.`,
    );
    return { document: { removed } };
  });
}

/** Opens the database, resolves the token's account, and runs `work` for it. */
function withAccount(
  context: CommandContext,
  work: (subscriber: SubscriberOptions) => Promise<CommandResult>,
): Promise<CommandResult> {
  const { config, output, signal } = context;
  const token = requireToken(config);
  return withDatabase(context, async (database) => {
    await database.transaction(requireWebhookSchema, { readOnly: true });
    const client = createCalendlyClient({
      baseUrl: config.calendlyApiUrl,
      token,
      proxies: config,
      signal,
      onAttempt: showAttempt(output),
    });
    const { account } = await resolveAccount(database, client, token, { named: [], write: true });
    if (account === null) throw new CalendlySyncError('failed', 'The account could not be stored.');
    return work({ database, client, accountId: account.id });
  });
}
