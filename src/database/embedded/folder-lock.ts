/**
 * A lock for one process at a time on a folder. Each contender first writes a claim of its own, then reads the claims
 * of the others, and gives up if one is live. So two never hold it together, nobody deletes a live claim, and a crash
 * leaves only the claim of a dead process, which anybody may delete. Knows no database.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning, ownIdentity, type ProcessIdentity, parseIdentity } from '../../process-identity.js';

/** The holder of a lock, as far as its claim can be read. */
export interface Holder {
  /** Null when the claim cannot be read. */
  process: ProcessIdentity | null;
  /** When it took the lock. */
  since: Date;
}

/** The lock, or its holder. */
export type LockAttempt = { release(): void } | { heldBy: Holder };

// A claim whose process is invisible from here (another container or machine) is live as long as it is renewed.
const RENEW_MS = 20_000;
const INVISIBLE_EXPIRES_MS = 120_000;
// A claim is empty for the moment between its creation and its text.
const UNREADABLE_EXPIRES_MS = 10_000;
const TRY_FOR_MS = 1_000;

/**
 * Takes the lock, or returns its holder after trying for a second (contenders that give up do so within it).
 * @param folder for the claims; created if absent, and kept
 */
export async function lockFolder(folder: string): Promise<LockAttempt> {
  const deadline = Date.now() + TRY_FOR_MS;
  for (;;) {
    const path = writeClaim(folder);
    const other = findLiveClaim(folder, path);
    if (other === null) return hold(path);
    rmSync(path, { force: true });
    if (Date.now() > deadline) return { heldBy: other };
    await sleep(10 + Math.random() * 90);
  }
}

function writeClaim(folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `${randomUUID()}.json`);
  const claim = { ...ownIdentity(), since: new Date().toISOString() };
  writeFileSync(path, `${JSON.stringify(claim)}\n`, { flag: 'wx', mode: 0o600 });
  return path;
}

function hold(path: string) {
  const renewal = setInterval(() => {
    const now = new Date();
    try {
      utimesSync(path, now, now);
    } catch {
      // The folder was deleted; there is nothing left to protect.
      clearInterval(renewal);
    }
  }, RENEW_MS);
  renewal.unref();
  return {
    release() {
      clearInterval(renewal);
      rmSync(path, { force: true });
    },
  };
}

/** The first live claim besides our own; deletes dead ones. */
function findLiveClaim(folder: string, own: string): Holder | null {
  // The clock of the folder's own file system, which alone can be compared with the times of its files.
  const now = statSync(own).mtimeMs;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (path === own || !name.endsWith('.json')) continue;
    try {
      const { mtimeMs, birthtime } = statSync(path);
      const text = readFileSync(path, 'utf8');
      const process = parseIdentity(text);
      if (isLive(process, now - mtimeMs)) return { process, since: readSince(text) ?? birthtime };
    } catch (error) {
      // Its holder has released it meanwhile.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    rmSync(path, { force: true });
  }
  return null;
}

/** @param age since the claim was renewed, in ms */
function isLive(process: ProcessIdentity | null, age: number): boolean {
  if (process === null) return age < UNREADABLE_EXPIRES_MS;
  return isRunning(process) ?? age < INVISIBLE_EXPIRES_MS;
}

function readSince(claim: string): Date | null {
  const [, text] = /"since":"([\d\-T:.]+Z)"/.exec(claim) ?? [];
  return text === undefined ? null : new Date(text);
}
