/**
 * One limit for the bytes of all requests in memory. When it is exceeded, the body that has been arriving for longest
 * is given up: a real delivery arrives within milliseconds, so slow senders cannot keep it out. Knows no HTTP.
 */

export interface ByteBudget {
  /** Counts the bytes of one request. `onEvicted` is called if they must be given up. */
  open(onEvicted: () => void): Held;
  /** Bytes counted now. */
  used(): number;
}

export interface Held {
  /** Counts more bytes. False if this request must give up. */
  add(bytes: number): boolean;
  /** The body is complete and authentic: it is never given up. */
  keep(): void;
  /** Stops counting the request's bytes. */
  release(): void;
}

interface Entry {
  bytes: number;
  evict(): void;
}

export function createByteBudget(maxBytes: number): ByteBudget {
  let used = 0;
  /** Bodies that are still arriving, oldest first. */
  const arriving = new Set<Entry>();

  function release(entry: Entry): void {
    used -= entry.bytes;
    entry.bytes = 0;
    arriving.delete(entry);
  }

  return {
    used: () => used,
    open(onEvicted) {
      let evicted = false;
      const entry: Entry = {
        bytes: 0,
        evict() {
          evicted = true;
          release(entry);
          onEvicted();
        },
      };
      return {
        add(bytes) {
          if (evicted) return false;
          arriving.add(entry);
          entry.bytes += bytes;
          used += bytes;
          while (used > maxBytes && !evicted) {
            const [oldest = entry] = arriving;
            oldest.evict();
          }
          return !evicted;
        },
        keep: () => void arriving.delete(entry),
        release: () => release(entry),
      };
    },
  };
}
