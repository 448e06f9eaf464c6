/** A sandbox for one test, and simple requests to it. */
import { onTestFinished } from 'vitest';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/sandbox.js';

/** Starts a sandbox on a free port; it is closed after the test. */
export async function testSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const sandbox = await startSandbox(options);
  onTestFinished(() => sandbox.close());
  return sandbox;
}

/** The settings with which the program syncs a host of a sandbox into a database. */
export function settingsOf(sandbox: Sandbox, databaseUrl: string, host = 0): Record<string, string> {
  return {
    DATABASE_URL: databaseUrl,
    CALENDLY_API_URL: sandbox.url,
    CALENDLY_TOKEN: sandbox.hosts[host]?.token ?? '',
  };
}

export interface Answered {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came back
  body: any;
}

/** Sends one request with a host's token (host 0 when none is named); the body is parsed when it is JSON. */
export async function ask(
  sandbox: Sandbox,
  pathOrUrl: string,
  options: {
    token?: string;
    host?: number;
    method?: string;
    body?: string;
    headers?: Record<string, string>;
  } = {},
): Promise<Answered> {
  const token = options.token ?? sandbox.hosts[options.host ?? 0]?.token ?? '';
  const headers = new Headers({ authorization: `Bearer ${token}`, ...options.headers });
  const response = await fetch(new URL(pathOrUrl, sandbox.url), {
    method: options.method ?? 'GET',
    headers,
    redirect: 'manual',
    ...(options.body === undefined ? {} : { body: options.body }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: parsed(text) };
}

/** `/scheduled_events` of a host, with further parameters. */
export function eventsPath(sandbox: Sandbox, parameters: Record<string, string> = {}, host = 0): string {
  return `/scheduled_events?${new URLSearchParams({ user: sandbox.hosts[host]?.uri ?? '', ...parameters })}`;
}

/** All rows of a listing, page by page as a careful client reads them. */
export async function readAll(
  sandbox: Sandbox,
  path: string,
  host = 0,
): Promise<{ rows: Row[]; pages: number }> {
  const rows: Row[] = [];
  let next: string | null = path;
  let pages = 0;
  while (next !== null) {
    const { status, body }: Answered = await ask(sandbox, next, { host });
    if (status !== 200) throw new Error(`${next} answered ${status}: ${JSON.stringify(body)}`);
    rows.push(...body.collection);
    next = body.pagination.next_page;
    pages++;
  }
  return { rows, pages };
}

// biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came back
type Row = any;

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
