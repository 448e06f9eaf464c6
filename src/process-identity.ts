/**
 * Identifies the process that wrote a lock, and whether it still runs. A pid alone is not enough: it is reused, and it
 * means another process after a reboot or in another container. Knows nothing of what is locked.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** One process, distinct from every other one on this machine, before and after a reboot. */
export interface ProcessIdentity {
  host: string;
  pid: number;
  /** Its start time as the system writes it: ticks since boot on Linux, a date elsewhere; null if unknown. */
  started: string | null;
  /** The boot that the pid belongs to; null outside Linux. */
  boot: string | null;
  /** The pid namespace, outside of which the pid means nothing; null outside Linux. */
  namespace: string | null;
}

/** The identity of this process. */
export function ownIdentity(): ProcessIdentity {
  return { ...currentHost(), pid: process.pid, started: findProcess(process.pid)?.started ?? null };
}

/** Whether that process still runs; null if it cannot be seen from here: another machine, container or boot. */
export function isRunning({ host, pid, started, boot, namespace }: ProcessIdentity): boolean | null {
  const here = currentHost();
  const sameMachine = here.boot === null ? host === here.host : boot === here.boot;
  if (!sameMachine || namespace !== here.namespace) return null;
  const found = findProcess(pid);
  if (found === null) return false;
  return found.started === null || started === null || found.started === started;
}

/** Reads an identity that was stored as JSON, among other keys; null if it is invalid. */
export function parseIdentity(json: string): ProcessIdentity | null {
  const value = tryOrNull((): Partial<ProcessIdentity> | null => JSON.parse(json));
  const { host, pid = 0, started = null, boot = null, namespace = null } = value ?? {};
  if (typeof host !== 'string' || !Number.isSafeInteger(pid) || pid <= 0) return null;
  return { host, pid, started, boot, namespace };
}

function currentHost(): Pick<ProcessIdentity, 'host' | 'boot' | 'namespace'> {
  return {
    host: hostname(),
    boot: tryOrNull(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    namespace: tryOrNull(() => readlinkSync('/proc/self/ns/pid')),
  };
}

/** The running process of that pid, with its start time; null if there is none. */
function findProcess(pid: number): { started: string | null } | null {
  const stat = tryOrNull(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  if (stat !== null) {
    // The command's name is in parentheses and may itself contain spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie writes nothing any more, and in a container without an init process it stays forever.
    return fields[0] === 'Z' || fields[0] === 'X' ? null : { started: fields[19] ?? null };
  }
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it exists and belongs to another user.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return null;
  }
  if (process.platform === 'win32' || process.platform === 'linux') return { started: null };
  const ps = tryOrNull(() => execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }));
  return { started: ps?.trim() || null };
}

function tryOrNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
