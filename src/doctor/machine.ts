/** What `doctor` checks on this machine: Node.js, the settings, the disk. */
import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { DescribedSetting } from '../config.js';
import { type Finding, findingsOf } from './finding.js';

const MIN_NODE = [20, 19] as const;
/** An embedded database takes 40 MB when it is new. */
const MIN_FREE_BYTES = 500_000_000;

export function checkNode(): Finding {
  const node = findingsOf('node', process.execPath);
  const { version } = process;
  const [major = 0, minor = 0] = version.slice(1).split('.').map(Number);
  const isOld = major < MIN_NODE[0] || (major === MIN_NODE[0] && minor < MIN_NODE[1]);
  return isOld
    ? node.failed(`Node.js ${version} is too old`, `Install Node.js ${MIN_NODE.join('.')} or newer.`)
    : node.ok(`Node.js ${version}`);
}

export function checkSettings(settings: readonly DescribedSetting[]): Finding {
  const set = settings.filter(({ source }) => source !== 'default');
  const files = [...new Set(set.flatMap(({ file }) => file ?? []))];
  const finding = findingsOf('settings', ['flags', 'environment', ...files].join(', '));
  if (set.length === 0) {
    return finding.warning(
      'none is set',
      'Put settings into .env or the environment: calendly-sync help environment',
    );
  }
  return finding.ok(set.map(({ name, source, file }) => `${name} (${file ?? source})`).join(', '));
}

/** The disk of the home, which holds the embedded database. */
export async function checkDisk(home: string): Promise<Finding> {
  let folder = home;
  while (!existsSync(folder)) folder = dirname(folder);
  const disk = findingsOf('disk', folder);
  try {
    const { bavail, bsize } = await statfs(folder);
    const free = bavail * bsize;
    const message = `${Math.floor(free / 1_000_000).toLocaleString('en-US')} MB free`;
    return free < MIN_FREE_BYTES
      ? disk.warning(message, 'Free some space, or set CALENDLY_SYNC_HOME to a folder on another disk.')
      : disk.ok(message);
  } catch (error) {
    return disk.error(error);
  }
}
