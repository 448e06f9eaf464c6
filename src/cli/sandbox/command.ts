/** `sandbox`: a local Calendly to try against, until it is stopped. */
import { once } from 'node:events';
import { listenError } from '../../listen-error.js';
import type { Sandbox, SandboxOptions } from '../../sandbox/sandbox.js';
import { type CommandContext, type CommandResult, commandAction, type DefineCommand } from '../command.js';
import { integer, port } from '../option-parsers.js';

const DEFAULT_PORT = 8788;

export const sandbox: DefineCommand = (program, session) => {
  // The help comes from the sandbox, which no other command should load.
  program.hook('preSubcommand', async (_program, called) => {
    if (called.name() === 'sandbox') called.addHelpText('after', (await import('./help.js')).sandboxHelp());
  });
  program
    .command('sandbox')
    .description('run a local Calendly to try things against')
    .option('--port <n>', 'port to listen on; 0 takes a free one', port, DEFAULT_PORT)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--events <n>', 'meetings of each host', integer(0, 100_000), 250)
    .option('--hosts <n>', 'users of the organization', integer(1, 500), 3)
    .option('--seed <n>', 'another number gives other meetings', integer(0, 0xffffffff), 1)
    .option('--latency <ms>', 'delay before each answer', integer(0, 600_000), 0)
    .option('--rate-limit <n>', 'requests per minute and user', integer(1, 100_000_000), 500)
    .action(commandAction(session, run, { needsConfig: false }));
};

interface SandboxFlags extends SandboxOptions {
  port: number;
  host: string;
}

async function run(context: CommandContext, flags: SandboxFlags): Promise<CommandResult> {
  const { output, signal } = context;
  const { startSandbox } = await import('../../sandbox/sandbox.js');
  const running = await startSandbox({
    ...flags,
    onAnswer: ({ method, path, query, status, fault }) => {
      const what = `${method} ${path}${query && `?${query}`}`;
      output.detail(`${status ?? '---'} ${what}${fault === null ? '' : ` (fault: ${fault})`}`);
    },
  }).catch((error: NodeJS.ErrnoException) => {
    throw listenError(error, flags);
  });
  try {
    introduce(context, running, flags);
    if (!signal.aborted) await once(signal, 'abort');
  } finally {
    await running.close();
  }
  output.note('The local Calendly has stopped.');
  return { document: null };
}

function introduce(
  { output }: CommandContext,
  sandbox: Sandbox,
  { events, hosts, seed }: SandboxFlags,
): void {
  output.document({
    command: 'sandbox',
    ok: true,
    url: sandbox.url,
    control_url: sandbox.controlUrl,
    auth_url: sandbox.url,
    ...sandbox.client,
    organization: sandbox.organization,
    tokens: sandbox.hosts,
  });
  const amount = `${events} meetings for each of ${hosts} hosts, seed ${seed}`;
  output.note(`The local Calendly listens on ${sandbox.url}: ${amount}.`, 'good');
  output.note('Paste these into .env or your shell:');
  output.result(`CALENDLY_API_URL=${sandbox.url}`);
  for (const [index, { token, name, email, role }] of sandbox.hosts.entries()) {
    output.result(`# ${name} <${email}>, ${role === 'user' ? 'member' : role}`, 'dim');
    output.result(`${index === 0 ? '' : '# '}CALENDLY_TOKEN=${token}`);
  }
  output.note(`Control: ${sandbox.controlUrl}/… (see: calendly-sync sandbox --help)`);
  output.note('Stop it with Ctrl+C.');
}
