/** Ends a statement on the server when a signal comes. */
import type postgres from 'postgres';

/** The result of a query that the signal cancels. A cancel that cannot reach the server leaves the query running. */
export async function cancellable<Row extends object>(
  query: postgres.PendingQuery<Row[]>,
  signal: AbortSignal | undefined,
) {
  signal?.throwIfAborted();
  // What `query.cancel` does, which drops a promise that rejects if the server cannot be reached.
  const { canceller } = query as typeof query & { canceller(running: typeof query): Promise<void> };
  const cancel = () => canceller(query).catch(() => {});
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    return await query;
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}
