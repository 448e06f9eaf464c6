import { spawn } from 'node:child_process';
import { readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type Holder, lockFolder } from '../../../src/database/embedded/folder-lock.js';
import { ownIdentity, type ProcessIdentity } from '../../../src/process-identity.js';
import { temporaryFolder } from '../../support/program.js';

const lockModule = pathToFileURL(
  join(import.meta.dirname, '../../../dist/src/database/embedded/folder-lock.js'),
).href;

/** Runs a script with `lockFolder` and `folder` in scope, and collects what it prints. */
function child(folder: string, script: string) {
  const code = `import { lockFolder } from ${JSON.stringify(lockModule)};\nconst folder = ${JSON.stringify(folder)};\n${script}`;
  const started = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  const printed = new Promise<string>((resolve) => {
    started.stdout.setEncoding('utf8').on('data', (more: string) => {
      text += more;
      resolve(text);
    });
  });
  const ended = new Promise<string>((resolve) => started.on('close', () => resolve(text)));
  return { started, printed, ended };
}

function claim(folder: string, identity: Partial<ProcessIdentity>, renewedAgoMs = 0): void {
  const path = join(folder, 'left-behind.json');
  writeFileSync(path, JSON.stringify({ ...ownIdentity(), ...identity, since: '2026-01-02T03:04:05.000Z' }));
  const renewed = new Date(Date.now() - renewedAgoMs);
  utimesSync(path, renewed, renewed);
}

async function taken(folder: string): Promise<() => void> {
  const attempt = await lockFolder(folder);
  if ('heldBy' in attempt) throw new Error(`held by ${JSON.stringify(attempt.heldBy)}`);
  return attempt.release;
}

async function holderOf(folder: string): Promise<Holder> {
  const attempt = await lockFolder(folder);
  if ('heldBy' in attempt) return attempt.heldBy;
  attempt.release();
  throw new Error('the lock was free');
}

describe('lockFolder', () => {
  test('a lock is held by one process, names its holder, and is free when released', async () => {
    const folder = temporaryFolder();
    const release = await taken(folder);
    expect((await holderOf(folder)).process).toEqual(ownIdentity());
    release();
    (await taken(folder))();
    expect(readdirSync(folder)).toEqual([]);
  });

  test('the lock of a killed process is taken over at once', async () => {
    const folder = temporaryFolder();
    const { started, printed, ended } = child(
      folder,
      `await lockFolder(folder); console.log('held'); setInterval(() => {}, 1000);`,
    );
    await printed;
    expect((await holderOf(folder)).process?.pid).toBe(started.pid);
    started.kill('SIGKILL');
    await ended;
    (await taken(folder))();
    expect(readdirSync(folder)).toEqual([]);
  });

  test('a pid that another process has now does not count as the holder', async () => {
    const folder = temporaryFolder();
    claim(folder, { started: '1' });
    (await taken(folder))();
  });

  test('a lock of a process on another machine is respected as long as it is renewed', async () => {
    const folder = temporaryFolder();
    const elsewhere = { host: 'elsewhere', boot: 'another boot', namespace: 'pid:[1]' };
    claim(folder, elsewhere, 60_000);
    const holder = await holderOf(folder);
    expect(holder.process?.host).toBe('elsewhere');
    expect(holder.since.toISOString()).toBe('2026-01-02T03:04:05.000Z');
    claim(folder, elsewhere, 180_000);
    (await taken(folder))();
  });

  test('an unreadable claim blocks the lock for seconds, not forever', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'torn.json'), '{"host":');
    expect((await holderOf(folder)).process).toBe(null);
    const longAgo = new Date(Date.now() - 60_000);
    utimesSync(join(folder, 'torn.json'), longAgo, longAgo);
    (await taken(folder))();
  });

  test('a lock left by a crash and wanted by eight processes is never held by two at once', async () => {
    const folder = temporaryFolder();
    const inside = join(temporaryFolder(), 'inside');
    claim(folder, { started: '1' });
    const script = `
      import { rmSync, writeFileSync } from 'node:fs';
      let held = 0;
      while (held < 5) {
        const lock = await lockFolder(folder);
        if ('heldBy' in lock) continue;
        writeFileSync(${JSON.stringify(inside)}, String(process.pid), { flag: 'wx' });
        await new Promise((resolve) => setTimeout(resolve, 5));
        rmSync(${JSON.stringify(inside)});
        lock.release();
        held++;
      }
      console.log(held);`;
    const held = await Promise.all(Array.from({ length: 8 }, () => child(folder, script).ended));
    expect(held.map(Number)).toEqual(Array(8).fill(5));
    expect(readdirSync(folder)).toEqual([]);
  });
});
