/**
 * Which process wrote a lock, and whether it still runs. A pid alone says little: it is given out again, and it means
 * another process after a reboot or in another container. Knows nothing of what is locked.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** One process, told apart from every other one on this machine, before and after a reboot. */
export interface ProcessIdentity {
  host: string;
  pid: number;
  /** When it started, as the system says it: ticks since boot on Linux, a date elsewhere; null where nobody tells. */
  started: string | null;
  /** The boot that the pid belongs to; null outside Linux. */
  boot: string | null;
  /** The pid namespace, in which alone the pid means anything; null outside Linux. */
  namespace: string | null;
}

/** This process. */
export function ownIdentity(): ProcessIdentity {
  return { ...ownPlace(), pid: process.pid, started: startOf(process.pid)?.started ?? null };
}

/**
 * Whether that process still runs; null when it cannot be seen from here (another machine, another container, an earlier
 * boot of what may be another machine).
 */
export function isRunning(identity: ProcessIdentity): boolean | null {
  const here = ownPlace();
  const sameMachine = here.boot === null ? identity.host === here.host : identity.boot === here.boot;
  if (!sameMachine || identity.namespace !== here.namespace) return null;
  const found = startOf(identity.pid);
  if (found === null) return false;
  return found.started === null || identity.started === null || found.started === identity.started;
}

/** Reads back what JSON made of an identity; null when it is none. */
export function parseIdentity(value: unknown): ProcessIdentity | null {
  if (typeof value !== 'object' || value === null) return null;
  const { host, pid, started, boot, namespace } = value as Partial<Record<keyof ProcessIdentity, unknown>>;
  if (typeof host !== 'string' || typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0)
    return null;
  return {
    host,
    pid,
    started: textOrNull(started),
    boot: textOrNull(boot),
    namespace: textOrNull(namespace),
  };
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function ownPlace(): Pick<ProcessIdentity, 'host' | 'boot' | 'namespace'> {
  return {
    host: hostname(),
    boot: tried(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    namespace: tried(() => readlinkSync('/proc/self/ns/pid')),
  };
}

/** The running process of that pid, with its start; null when there is none. */
function startOf(pid: number): { started: string | null } | null {
  if (process.platform === 'linux') {
    const stat = tried(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
    if (stat !== null) {
      // The command's name stands in brackets and may itself hold blanks and brackets.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      // A zombie writes no more, and in a container without an init it stays one for ever.
      return fields[0] === 'Z' || fields[0] === 'X' ? null : { started: fields[19] ?? null };
    }
  }
  if (!answersSignals(pid)) return null;
  if (process.platform === 'win32' || process.platform === 'linux') return { started: null };
  const started = tried(() => execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }));
  return { started: started?.trim() || null };
}

function answersSignals(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    // EPERM: it is there, and belongs to somebody else.
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function tried<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
