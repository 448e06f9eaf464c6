/** `account rekey`: seals all stored tokens with the first key, so that older keys can be removed. */
import type { Config } from '../config.js';
import type { Database } from '../database/connection.js';
import { persistentTransaction } from '../database/retry.js';
import { requireSchema } from '../database/schema.js';
import { lockTokensOfOtherKeys, resealTokens, type StoredTokens } from '../database/tables/tokens.js';
import { keyIdOf, open, type SealedPlace, seal, sealingKey } from './seal.js';

export interface RekeyOptions {
  database: Database;
  config: Pick<Config, 'syncKeys'>;
  /** Stops between two batches; what is done stays. */
  signal?: AbortSignal | undefined;
  /** Called after each batch, with the number of accounts so far. */
  onProgress?: ((rekeyed: number) => void) | undefined;
}

const BATCH = 500;

/**
 * Seals every token with the first key of CALENDLY_SYNC_KEY. It can be interrupted and repeated: each batch is one
 * transaction, and all keys go on working.
 * @returns the number of accounts whose tokens were sealed again
 * @throws CalendlySyncError `settings` if a key is missing, `schema_not_ready`, `database_*`
 */
export async function rekey({
  database,
  config,
  signal,
  onProgress,
}: RekeyOptions): Promise<{ rekeyed: number }> {
  const keys = config.syncKeys;
  const id = keyIdOf(sealingKey(keys));
  await database.transaction(requireSchema, { readOnly: true });
  let rekeyed = 0;
  for (;;) {
    signal?.throwIfAborted();
    const done = await persistentTransaction(database, async (sql) => {
      const batch = await lockTokensOfOtherKeys(sql, id, BATCH);
      for (const tokens of batch) await resealTokens(sql, resealed(keys, tokens));
      return batch.length;
    });
    if (done === 0) return { rekeyed };
    rekeyed += done;
    onProgress?.(rekeyed);
  }
}

function resealed(keys: readonly string[], tokens: StoredTokens): StoredTokens {
  const { calendlyUri, access, refresh } = tokens;
  const again = (field: SealedPlace['field'], sealed: Buffer) =>
    seal(keys, { field, calendlyUri }, open(keys, { field, calendlyUri }, sealed));
  return { ...tokens, access: again('access', access), refresh: refresh && again('refresh', refresh) };
}
