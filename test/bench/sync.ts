/**
 * What a sync costs: time of whole processes, requests, peak memory. The built program against a sandbox in another process and a
 * Postgres on this machine. Figures, never asserted.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import postgres from 'postgres';

const program = join(import.meta.dirname, '../../dist/bin/calendly-sync.js');

export interface ProcessFigures {
  seconds: number;
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

/** A large account, as fast as the machine allows: how much memory a full sync takes at its peak, and a second look at it all. */
export async function benchLargeAccount(
  databaseUrl: string,
  events: number,
): Promise<Record<string, ProcessFigures>> {
  return withSandbox({ events, latency: 0, rateLimit: 100_000_000 }, databaseUrl, async (settings) => ({
    first: await measured(['sync', '--json'], settings),
    again_unchanged: await measured(['force-full', '--json'], settings),
  }));
}

/** What every call pays before it does anything. */
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

interface SandboxFlags {
  events: number;
  latency: number;
  rateLimit: number;
}

async function withSandbox<T>(
  { events, latency, rateLimit }: SandboxFlags,
  databaseUrl: string,
  work: (settings: Record<string, string>) => Promise<T>,
): Promise<T> {
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  await sql`truncate users, meetings, calendly_accounts cascade`;
  await sql.end();
  const flags = { port: 0, hosts: 1, events, latency, 'rate-limit': rateLimit };
  const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(process.execPath, [program, 'sandbox', '--json', ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const document = await new Promise<SandboxDocument>((resolve, reject) => {
      let all = '';
      child.once('exit', () => reject(new Error(`the sandbox ended: ${all}`)));
      child.stdout.setEncoding('utf8').on('data', (more: string) => {
        all += more;
        // The document is printed at once and whole; the sandbox goes on serving after it.
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

/** Runs the program (or node alone) to its end; the least of three where that takes no time. */
async function measured(words: string[] | null, settings: Record<string, string>): Promise<ProcessFigures> {
  const first = await once(words, settings);
  if (first.seconds > 1) return first;
  const more = [first, await once(words, settings), await once(words, settings)];
  return words?.[0] === 'sync' || words?.[0] === 'force-full'
    ? first
    : { ...first, seconds: Math.min(...more.map(({ seconds }) => seconds)) };
}

async function once(words: string[] | null, settings: Record<string, string>): Promise<ProcessFigures> {
  const started = performance.now();
  const child = spawn(process.execPath, words === null ? ['-e', '0'] : [program, ...words], {
    env: { PATH: process.env.PATH, ...settings },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, peakKb(child.pid ?? 0));
  }, 50);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  clearInterval(watch);
  if (code !== 0) throw new Error(`${words?.join(' ')} exited with ${code}: ${text}`);
  const requests = text.startsWith('{') ? JSON.parse(text).totals?.requests : undefined;
  return {
    seconds: Math.round(performance.now() - started) / 1_000,
    peak_mb: Math.round(peak / 1_024),
    ...(requests === undefined ? {} : { requests }),
  };
}

/** The most memory that a process ever held, as Linux keeps it; 0 elsewhere. */
function peakKb(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
