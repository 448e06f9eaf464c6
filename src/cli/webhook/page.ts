/** The status page of `webhook serve`: what it shows, and its password. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { isLoopback } from '../../calendly/proxy.js';
import type { Database } from '../../database/connection.js';
import { CalendlySyncError, messageOf } from '../../errors.js';
import { PAGE_POLICY, pageHtml } from '../../health/page.js';
import { readPageFacts } from '../../health/page-facts.js';
import type { Address } from '../../webhook/receiver/server.js';
import type { CommandContext } from '../command.js';

const MIN_TOKEN_LENGTH = 16;

/** It reads the database only: each look at it would else cost a request to Calendly. */
export function statusPage(
  { config, terminal }: CommandContext,
  database: Database,
  { pageTokenFile: file, host, adminPort }: { pageTokenFile?: string; host: string; adminPort?: Address },
) {
  return {
    render: async () => pageHtml(await readPageFacts({ database, config, offline: true })),
    policy: PAGE_POLICY,
    token: file === undefined ? null : readToken(resolve(terminal.cwd, file)),
    local: { main: isLocal(host), admin: adminPort != null && isLocal(adminPort.host) },
  };
}

function isLocal(host: string): boolean {
  return isLoopback({ hostname: host.includes(':') ? `[${host}]` : host });
}

/** In a file, because every user of the machine can see the arguments of a process. */
function readToken(path: string): string {
  let token: string;
  try {
    token = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new CalendlySyncError('settings', `Cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
  if (token.length >= MIN_TOKEN_LENGTH) return token;
  const message = `The password in ${path} has fewer than ${MIN_TOKEN_LENGTH} characters.`;
  throw new CalendlySyncError('settings', message, { hint: `To create one: openssl rand -hex 24 > ${path}` });
}
