/**
 * Before all tests: builds the program (not with TEST_BUILT), starts Postgres (18, or TEST_POSTGRES; none with
 * TEST_DATABASE_URL) and migrates a template database, which is copied for each test file. After all tests: removes everything.
 */
import { execFileSync } from 'node:child_process';
import postgres from 'postgres';
import type { TestProject } from 'vitest/node';
import { startPostgres } from './postgres-server.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** URL of a superuser's connection to the server's maintenance database. */
    serverUrl: string;
    /** Name of the migrated template database. */
    template: string;
  }
}

export default async function setup(project: TestProject) {
  if (!process.env.TEST_BUILT) execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
  const given = process.env.TEST_DATABASE_URL;
  const server = given ? { url: given, stop: async () => {} } : await startPostgres();
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
