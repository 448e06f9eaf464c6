/** `sync` over all connected accounts: one pass, or a service that stays. */

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { TokenProvider } from '../../accounts/token-source.js';
import { countOf } from '../../counting.js';
import { countLeases } from '../../database/tables/leases.js';
import { CalendlySyncError } from '../../errors.js';
import { type AccountsResult, syncAccounts } from '../../sync/accounts.js';
import type { AccountsOptions } from '../../sync/accounts-setup.js';
import type { CommandContext, CommandResult } from '../command.js';
import { EXIT, exitCodeOf } from '../exit-codes.js';
import { showAccounts, showSync } from './output.js';

/** Flags of `sync` for many accounts. Durations in ms. */
export interface ManyFlags {
  due?: number | undefined;
  every?: number | undefined;
  maxEvery?: number | undefined;
  for?: number | undefined;
  accounts?: number | undefined;
  tokens?: string | undefined;
}

/** How long an account whose webhooks work waits for its next sync. */
export const MAX_EVERY_MS = 6 * 3_600_000;

/** Syncs all accounts, or the named ones. */
export async function runMany(
  { output, terminal, signal }: CommandContext,
  options: AccountsOptions,
  { due, every, maxEvery, for: forMs, accounts, tokens: file }: ManyFlags,
): Promise<CommandResult> {
  const { database, users: named = [], dryRun = false } = options;
  checkFlags(options, { due, every, maxEvery });
  const tokens = file === undefined ? undefined : await loadProvider(file, terminal.cwd);
  const several =
    named.length !== 1 && (tokens?.list !== undefined || (await database.transaction(countLeases)) > 1);
  const shown = await showSync(output, dryRun, several);
  const { onAccount, errors } = showAccounts(output, several);
  output.item('users');
  const scope =
    every === undefined
      ? { dueMs: due ?? null }
      : { everyMs: every, maxEveryMs: Math.max(every, maxEvery ?? MAX_EVERY_MS) };
  const given: AccountsOptions = {
    ...options,
    accounts,
    forMs,
    tokens,
    onEvent: shown.onEvent,
    onAccount(result) {
      output.item('users', result);
      onAccount(result);
    },
  };
  const result = await syncAccounts(given, scope).finally(shown.close);
  if (dryRun) output.note('Nothing was written (--dry-run).');
  if (signal.aborted && every === undefined)
    throw new CalendlySyncError('stopped', 'Stopped before the end.', {
      hint: 'The next sync continues from there.',
    });
  return { document: { totals: result.totals }, exitCode: EXIT.ok, ...outcome(result, errors) };
}

/** The JSON keys and the exit code of a call in which accounts failed or were all held elsewhere. */
function outcome(
  { complete, failed, skipped, totals }: AccountsResult,
  { first, held }: ReturnType<typeof showAccounts>['errors'],
): Partial<CommandResult> {
  if (first !== null && complete + skipped > 0) {
    const message = `${failed} of ${countOf(complete + failed + skipped, 'account')} failed.`;
    return {
      document: { totals, error: { code: 'partly', message, hint: first.hint } },
      exitCode: EXIT.partly,
    };
  }
  if (first !== null) return { document: { totals, error: first }, exitCode: exitCodeOf(first.code) };
  if (complete > 0 || held === 0) return {};
  const message = 'Every account is being synced by another process.';
  const error = { code: 'locked', message, hint: 'Run the same command again later.' };
  return { document: { totals, error }, exitCode: EXIT.tryAgain };
}

function checkFlags(
  { dryRun, event, only, since, until, users = [] }: AccountsOptions,
  { due, every, maxEvery }: Pick<ManyFlags, 'due' | 'every' | 'maxEvery'>,
): void {
  const usage = (message: string) => new CalendlySyncError('usage', message);
  if (every !== undefined && due !== undefined) throw usage("--due and --every can't be used together.");
  if (maxEvery !== undefined && every === undefined) throw usage('--max-every needs --every.');
  const once =
    dryRun || (event ?? only) !== undefined || since !== undefined || until !== undefined || users.length > 0;
  if (once && (every ?? due) !== undefined)
    throw usage(
      "--due and --every can't be used with --user, --dry-run, --event, --only, --since or --until.",
    );
}

/** The default export of an ES module: the application's tokens. */
async function loadProvider(file: string, cwd: string): Promise<TokenProvider> {
  const path = resolve(cwd, file);
  const fail = (why: string) =>
    new CalendlySyncError('settings', `--tokens ${file}: ${why}`, {
      hint: 'It must be an ES module whose default export has a function get({ userId, calendlyUri, minValidMs }).',
    });
  const module: { default?: Partial<TokenProvider> } = await import(pathToFileURL(path).href).catch(
    (error) => {
      throw fail(String(error));
    },
  );
  const { default: provider } = module;
  if (typeof provider?.get !== 'function') throw fail('it has no default export with a function get.');
  return provider as TokenProvider;
}
