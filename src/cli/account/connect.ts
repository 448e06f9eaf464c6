/** `account connect`: gets the token without showing it, and connects the account. */
import { type ConnectTokens, connectAccount } from '../../accounts/connect.js';
import { sealingKey } from '../../accounts/seal.js';
import { createOAuthClient } from '../../calendly/oauth.js';
import { CalendlySyncError } from '../../errors.js';
import { parseToken } from '../../setting-parsers.js';
import type { CommandContext, CommandResult } from '../command.js';
import { withDatabase } from '../database.js';
import { prompt, readPiped } from '../terminal/prompt.js';
import { oneLine } from '../terminal/sanitize.js';

interface ConnectFlags {
  user?: string | undefined;
  tokenStdin?: true | undefined;
  refreshTokenStdin?: true | undefined;
  oauth?: true | undefined;
  redirectUri?: string | undefined;
}

/** How long the operator may take in the browser. */
const ANSWER_WITHIN_MS = 10 * 60_000;

export async function runConnect(context: CommandContext, flags: ConnectFlags): Promise<CommandResult> {
  const { config, output, signal } = context;
  const given = [flags.tokenStdin, flags.refreshTokenStdin, flags.oauth].filter(Boolean).length;
  if (given > 1) {
    const message = "--token-stdin, --refresh-token-stdin and --oauth can't be used together.";
    throw new CalendlySyncError('usage', message);
  }
  // Before anybody types a secret.
  sealingKey(config.syncKeys);
  return withDatabase(context, async (database) => {
    const tokens = await askForTokens(context, flags);
    const connected = await connectAccount({ database, config, signal, userId: flags.user, tokens });
    const name = oneLine(connected.email ?? connected.calendlyUri);
    output.result(`✅ Connected ${name} to the user ${connected.userId}.`, 'good');
    output.note('The next sync includes this account: calendly-sync sync');
    const { accountId: account_id, userId: user_id, calendlyUri: calendly_uri, email } = connected;
    return { document: { account_id, user_id, calendly_uri, email } };
  });
}

async function askForTokens(context: CommandContext, flags: ConnectFlags): Promise<ConnectTokens> {
  const { terminal, signal, output } = context;
  if (flags.oauth) return authorize(context, flags.redirectUri);
  let text: string;
  if (flags.tokenStdin || flags.refreshTokenStdin) {
    text = await readPiped(terminal);
  } else if (terminal.stdin.isTTY && !output.json) {
    text = (await prompt(terminal, 'Personal access token: ', signal, { hidden: true }))?.trim() ?? '';
  } else {
    throw new CalendlySyncError('usage', 'Cannot ask for a token without a terminal.', {
      hint: 'Pipe it in: calendly-sync account connect --token-stdin < FILE',
    });
  }
  const token = checkToken(text);
  output.redact([token]);
  return flags.refreshTokenStdin ? { refreshToken: token } : { personalToken: token };
}

function checkToken(text: string): string {
  if (text === '') throw new CalendlySyncError('usage', 'No token was given.');
  try {
    return parseToken(text);
  } catch {
    throw new CalendlySyncError('usage', 'The token contains characters that are not allowed in a token.', {
      hint: 'Copy it again, on one line.',
    });
  }
}

async function authorize(
  { config, output, terminal, signal }: CommandContext,
  redirectUri: string | undefined,
): Promise<ConnectTokens> {
  if (redirectUri === undefined) {
    throw new CalendlySyncError('usage', '--oauth needs --redirect-uri.', {
      hint: 'Name a redirect URI of your OAuth application, as it is written there.',
    });
  }
  const client = createOAuthClient(config);
  const authorization = await client.authorize(redirectUri);
  output.warn(`Open this address in a browser, and allow access:\n${authorization.url}`);
  const withinTime = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]);
  const answer = await prompt(terminal, 'Paste the address that the browser ends on: ', withinTime);
  signal.throwIfAborted();
  if (answer === null) throw new CalendlySyncError('usage', 'No address was pasted within 10 minutes.');
  const { accessToken, refreshToken } = await client.exchange(authorization, answer);
  if (refreshToken === null) {
    throw new CalendlySyncError('calendly_invalid_response', 'Calendly sent no refresh token.');
  }
  output.redact([accessToken, refreshToken]);
  return { accessToken, refreshToken };
}
