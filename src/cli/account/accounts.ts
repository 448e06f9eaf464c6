/** What `account list`, `disconnect` and `rekey` do after their flags are parsed. */
import { disconnectAccount } from '../../accounts/connect.js';
import { rekey } from '../../accounts/rekey.js';
import { keyIdOf } from '../../accounts/seal.js';
import { countOf } from '../../counting.js';
import { requireSchema } from '../../database/schema.js';
import { listAccountStates } from '../../database/tables/account-list.js';
import { countTokensOfOtherKeys } from '../../database/tables/tokens.js';
import { userIdForJson } from '../../database/user-id.js';
import type { CommandContext, CommandResult } from '../command.js';
import { withExistingDatabase } from '../database.js';
import { oneLine } from '../terminal/sanitize.js';
import type { Cell } from '../terminal/table.js';

const HEAD = ['user', 'state', 'kind', 'token', 'last sync (UTC)', 'next sync (UTC)', 'failures'];

export function runList(
  context: CommandContext,
  { state }: { state?: string | undefined },
): Promise<CommandResult> {
  const { output, config } = context;
  return withExistingDatabase(context, async (database) => {
    const { accounts, olderKeys } = await database.transaction(
      async (sql) => {
        const { hasSyncState } = await requireSchema(sql);
        const [key] = config.syncKeys;
        return {
          accounts: await listAccountStates(sql, { state: state ?? null, hasSyncState }),
          olderKeys: key === undefined ? null : await countTokensOfOtherKeys(sql, keyIdOf(key)),
        };
      },
      { readOnly: true },
    );
    if (accounts.length === 0) output.result('No accounts.');
    const rows = accounts.map((one): (string | Cell)[] => [
      oneLine(one.email ?? one.user_id),
      { text: one.state, tone: one.state === 'active' ? 'good' : 'bad' },
      one.kind,
      one.token ?? 'none',
      minute(one.last_sync),
      minute(one.due_at),
      { text: String(one.failures), ...(one.failures > 0 ? { tone: 'warn' as const } : {}) },
    ]);
    if (rows.length > 0) await output.table(HEAD, rows, { minColumns: 3 });
    if (olderKeys) {
      output.note(
        `${countOf(olderKeys, 'account')} encrypted with an older key: calendly-sync account rekey`,
      );
    }
    const listed = accounts.map((one) => ({ ...one, user_id: userIdForJson(one.user_id) }));
    return { document: { accounts: listed, older_keys: olderKeys } };
  });
}

function minute(time: Date | null): string {
  return time?.toISOString().slice(0, 16).replace('T', ' ') ?? '-';
}

export function runDisconnect(context: CommandContext, { user }: { user: string }): Promise<CommandResult> {
  const { config, output, signal } = context;
  return withExistingDatabase(context, async (database) => {
    const done = await disconnectAccount({ database, config, signal, userId: user });
    output.result(`Disconnected ${oneLine(done.email ?? user)}: its tokens are deleted, its meetings stay.`);
    if (done.revoked) output.note('The OAuth pair was revoked at Calendly.');
    for (const problem of done.problems) output.warn(`Calendly: ${problem}`);
    const { accountId: account_id, ...rest } = done;
    return { document: { account_id, ...rest } };
  });
}

export function runRekey(context: CommandContext): Promise<CommandResult> {
  const { config, output, signal } = context;
  return withExistingDatabase(context, async (database) => {
    const progress = await output.progress('Encrypting tokens …');
    const { rekeyed } = await rekey({
      database,
      config,
      signal,
      onProgress: (count) => progress.update(`Encrypting tokens … ${count.toLocaleString('en-US')}`),
    }).finally(progress.stop);
    output.result(`${countOf(rekeyed, 'account')} encrypted with the first key of CALENDLY_SYNC_KEY.`);
    return { document: { rekeyed } };
  });
}
