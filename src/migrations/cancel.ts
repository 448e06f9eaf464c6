/** Statements that end when the program is asked to stop. */
import type { Sql } from '../database/connection.js';

/** A statement under way. */
type Query = ReturnType<Sql['unsafe']>;

/** Waits for `work`; when the signal comes, these statements are canceled on the server, and fail with 57014. */
export async function canceling<T>(
  signal: AbortSignal | undefined,
  queries: Query[],
  work: Promise<T>,
): Promise<T> {
  const cancel = () => {
    for (const query of queries) query.cancel();
  };
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    return await work;
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}
