/** What `webhook ping` does, and the ping of `webhook subscribe`. */
import { listAccounts } from '../../database/tables/accounts.js';
import { CalendlySyncError } from '../../errors.js';
import { type PingResult, pingReceiver } from '../../webhook/ping.js';
import { WEBHOOK_PATH } from '../../webhook/receiver/handler.js';
import type { CommandContext, CommandResult } from '../command.js';
import { withExistingDatabase } from '../database.js';
import { EXIT } from '../exit-codes.js';
import { oneLine } from '../terminal/sanitize.js';

/** Pings the receiver and reports what does not work; exit 4 then. */
export async function runPing(context: CommandContext, flags: { url?: string }): Promise<CommandResult> {
  const { output, config } = context;
  const [signingKey] = config.webhookSigningKeys;
  if (signingKey === undefined) {
    throw new CalendlySyncError('settings', 'CALENDLY_WEBHOOK_SIGNING_KEY is not set.', {
      hint: 'Set it to the key of the receiver.',
    });
  }
  const url = flags.url === undefined ? await subscribedUrl(context) : withPath(flags.url);
  const result = await pingReceiver({ url, signingKey, proxies: config });
  if (result.problem === null) {
    output.result(
      `✅ ${oneLine(url)} answered in ${result.ms} ms: DNS, TLS, path, key, clock and database work.`,
      'good',
    );
    return { document: result };
  }
  const { message, hint } = describe(result);
  output.warn(`✖ ${message}`);
  output.note(`  ${hint}`);
  return { document: result, exitCode: EXIT.checkFailed };
}

/** @throws CalendlySyncError `failed` if a receiver does not answer as it should */
export async function requirePong(
  { config: proxies }: CommandContext,
  url: string,
  signingKey: string,
): Promise<void> {
  const result = await pingReceiver({ url, signingKey, proxies });
  if (result.problem === null) return;
  const { message, hint } = describe(result);
  throw new CalendlySyncError('failed', `${message} Nothing was changed at Calendly.`, {
    hint: `${hint} To subscribe without this check: --no-ping`,
  });
}

/** A URL without a path gets the receiver's path; its query stays. */
export function withPath(url: string): string {
  const given = new URL(url);
  return given.pathname === '/' ? Object.assign(given, { pathname: WEBHOOK_PATH }).href : url;
}

function describe({ url, problem }: PingResult): { message: string; hint: string } {
  const { message, hint } = problem ?? { message: '', hint: '' };
  return { message: `The receiver at ${oneLine(url)} does not work: ${oneLine(message)}.`, hint };
}

/** The URL of the subscription in the database. */
function subscribedUrl(context: CommandContext): Promise<string> {
  return withExistingDatabase(context, async (database) => {
    const accounts = await database.transaction(listAccounts, { readOnly: true });
    const url = accounts.find(({ subscriptionUrl }) => subscriptionUrl !== null)?.subscriptionUrl;
    if (url) return url;
    throw new CalendlySyncError('usage', 'There is no webhook subscription: name the receiver with --url.');
  });
}
