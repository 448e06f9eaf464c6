/**
 * What a sync costs: time, CPU and peak memory of whole processes, and requests. The built program against a sandbox in
 * another process and a Postgres on this machine. Figures, never asserted.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import postgres from 'postgres';

export const program = join(import.meta.dirname, '../../dist/bin/calendly-sync.js');

export interface ProcessFigures {
  seconds: number;
  cpu_seconds: number;
  peak_mb: number;
  requests?: number;
}

/** The guide's account: 250 meetings, 120 ms to Calendly and back. */
export async function benchUsualAccount(databaseUrl: string): Promise<Record<string, ProcessFigures>> {
  return withSandbox({ events: 250, latency: 120, rateLimit: 500 }, databaseUrl, async (settings) => ({
    first: await measured(['sync', '--json'], settings),
    second: await measured(['sync', '--json'], settings),
  }));
}

/** A large account, as fast as the machine allows: the peak memory of a full sync and of a second one. */
export async function benchLargeAccount(
  databaseUrl: string,
  events: number,
): Promise<Record<string, ProcessFigures>> {
  return withSandbox({ events, latency: 0, rateLimit: 100_000_000 }, databaseUrl, async (settings) => ({
    first: await measured(['sync', '--json'], settings),
    again_unchanged: await measured(['force-full', '--json'], settings),
  }));
}

/** Invitees of each of the large events. */
const CROWD = 1_000;

/** Peak memory: of events with a thousand invitees each, first and read again, and of 1 against many ordinary events. */
export async function benchMemory(
  databaseUrl: string,
  events: number,
): Promise<Record<string, ProcessFigures | number>> {
  const flags = { latency: 0, rateLimit: 100_000_000 };
  const ordinary = (count: number) =>
    withSandbox({ ...flags, events: count }, databaseUrl, (settings) =>
      measured(['sync', '--json'], settings),
    );
  const one = await ordinary(1);
  const many = await ordinary(events);
  return withSandbox({ ...flags, events: 0 }, databaseUrl, async (settings) => {
    for (let booked = 0; booked < 200; booked++) {
      const body = JSON.stringify({ start: `+${booked + 1}h`, invitees: CROWD, limit: CROWD });
      const { ok } = await fetch(`${settings.CALENDLY_API_URL}/_control/book`, { method: 'POST', body });
      if (!ok) throw new Error('the sandbox did not book');
    }
    const first = await measured(['sync', '--json'], settings);
    const reread = await measured(['force-full', '--reread', '--json'], settings);
    return { one, many, first_of_1000_invitees: first, reread_of_1000_invitees: reread };
  });
}

/** What every call costs before it does anything. */
export async function benchStart(databaseUrl: string): Promise<Record<string, ProcessFigures>> {
  const settings = { DATABASE_URL: databaseUrl };
  return {
    node_alone: await measured(null, settings),
    version: await measured(['--version'], settings),
    help: await measured(['--help'], settings),
    migrate_nothing_to_do: await measured(['migrate', '--json'], settings),
  };
}

interface SandboxDocument {
  url: string;
  tokens: { token: string }[];
}

export interface SandboxFlags {
  events: number;
  latency: number;
  rateLimit: number;
}

/** Runs `work` with the settings of a new sandbox, on a database that no account is synced into. */
export async function withSandbox<T>(
  { events, latency, rateLimit }: SandboxFlags,
  databaseUrl: string,
  work: (settings: Record<string, string>) => Promise<T>,
): Promise<T> {
  await emptyTables(databaseUrl);
  const flags = { port: 0, hosts: 1, events, latency, 'rate-limit': rateLimit };
  const argv = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(process.execPath, [program, 'sandbox', '--json', ...argv], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const document = await new Promise<SandboxDocument>((resolve, reject) => {
      let all = '';
      child.once('exit', () => reject(new Error(`the sandbox ended: ${all}`)));
      child.stdout.setEncoding('utf8').on('data', (more: string) => {
        all += more;
        // The sandbox prints one whole document and then serves until it is stopped.
        if (all.trimEnd().endsWith('\n}')) resolve(JSON.parse(all));
      });
    });
    return await work({
      DATABASE_URL: databaseUrl,
      CALENDLY_API_URL: document.url,
      CALENDLY_TOKEN: document.tokens[0]?.token ?? '',
    });
  } finally {
    child.removeAllListeners('exit').kill('SIGTERM');
  }
}

export async function emptyTables(databaseUrl: string): Promise<void> {
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  await sql`truncate users, meetings, calendly_accounts cascade`;
  await sql.end();
}

/** Runs the program (or node alone) to its end; the shortest of three runs if it takes less than a second. */
async function measured(argv: string[] | null, settings: Record<string, string>): Promise<ProcessFigures> {
  const first = await once(argv, settings);
  if (first.seconds > 1) return first;
  const more = [first, await once(argv, settings), await once(argv, settings)];
  return argv?.[0] === 'sync' || argv?.[0] === 'force-full'
    ? first
    : { ...first, seconds: Math.min(...more.map(({ seconds }) => seconds)) };
}

async function once(argv: string[] | null, settings: Record<string, string>): Promise<ProcessFigures> {
  const started = performance.now();
  const child = spawn(process.execPath, argv === null ? ['-e', '0'] : [program, ...argv], {
    env: { PATH: process.env.PATH, ...settings },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let usage = { peakKb: 0, cpuSeconds: 0 };
  const watch = setInterval(() => {
    usage = usageOf(child.pid ?? 0) ?? usage;
  }, 20);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  clearInterval(watch);
  if (code !== 0) throw new Error(`${argv?.join(' ')} exited with ${code}: ${text}`);
  const requests = text.startsWith('{') ? JSON.parse(text).totals?.requests : undefined;
  return {
    seconds: Math.round(performance.now() - started) / 1_000,
    cpu_seconds: usage.cpuSeconds,
    peak_mb: Math.round(usage.peakKb / 1_024),
    ...(requests === undefined ? {} : { requests }),
  };
}

/** Peak memory and CPU time of a process so far, as Linux counts them; null elsewhere, and after its end. */
export function usageOf(pid: number) {
  try {
    const read = (file: string) => readFileSync(`/proc/${pid}/${file}`, 'utf8');
    const peakKb = Number(/VmHWM:\s+(\d+)/.exec(read('status'))?.[1] ?? 0);
    const [user = 0, system = 0] = read('stat').split(') ')[1]?.split(' ').slice(11, 13).map(Number) ?? [];
    // In ticks of a hundredth of a second. A process that has just ended has no memory left.
    return peakKb > 0 ? { peakKb, cpuSeconds: (user + system) / 100 } : null;
  } catch {
    return null;
  }
}
