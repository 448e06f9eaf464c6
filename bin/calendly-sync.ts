#!/usr/bin/env node
/** Arguments in, exit code out. The first signal asks for a clean stop, the second one exits at once. */
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
/** How long what is left over may keep a stopped process alive: a connection to a server that does not answer. */
const EXIT_TIMEOUT_MS = 1_000;
const TRY_AGAIN = 75;
const argv = process.argv.slice(2);
// Every user of the machine can see the arguments of a process: a URL among them may contain a password.
if (argv.some((argument) => argument.startsWith('--database-url'))) process.title = 'calendly-sync';

if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
  const { version } = await import('../src/version.js');
  process.stdout.write(`${version}\n`);
} else {
  const { processEnvironment } = await import('../src/config.js');
  const { run } = await import('../src/cli/run.js');
  const stop = new AbortController();
  let stoppedBy: keyof typeof SIGNALS | null = null;
  for (const name of Object.keys(SIGNALS) as (keyof typeof SIGNALS)[]) {
    process.on(name, () => {
      if (stoppedBy) process.exit(SIGNALS[name]);
      stoppedBy = name;
      stop.abort(new Error(`stopped by ${name}`));
    });
  }
  const { stdout, stderr, stdin } = process;
  // `calendly-sync … | head` closes our stdout early; the work and its exit code stay the same.
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
  const terminal = { stdout, stderr, stdin, environment: processEnvironment(), cwd: process.cwd() };
  const exitCode = await run(argv, terminal, stop.signal);
  process.exitCode = stoppedBy && exitCode !== 0 && exitCode !== TRY_AGAIN ? SIGNALS[stoppedBy] : exitCode;
  if (stoppedBy) setTimeout(() => process.exit(), EXIT_TIMEOUT_MS).unref();
}
