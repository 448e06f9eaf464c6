/** `webhook …`: the receiver, its subscriptions at Calendly, and deliveries that wait. */
import { InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { parseDuration } from '../../duration.js';
import { type DefineCommand, runCommand, withSharedOptions } from '../command.js';

export const webhook: DefineCommand = {
  name: 'webhook',
  define(program, session) {
    const group = program
      .command('webhook')
      .description('receive bookings the moment they are made: the receiver and its subscriptions');
    withSharedOptions(group.command('serve'))
      .description('receive webhooks; with the two intervals it is the whole service in one process')
      .option('--host <address>', 'address to listen on', '127.0.0.1')
      .option('--port <port>', 'port to listen on; 0 takes a free one', port, 8787)
      .option('--public-url <url>', 'origin under which Calendly reaches it', httpUrl)
      .option('--sync-every <duration>', 'run the backup sync this often: 15m, 1h', duration)
      .option(
        '--clean-every <duration>',
        'delete webhook events older than 30 days this often: 24h',
        duration,
      )
      .addHelpText('after', SERVE_EXAMPLES)
      .action((options) =>
        runCommand(session, 'webhook serve', options, async (context) => {
          const { serve } = await import('./serve.js');
          return serve(context, options);
        }),
      );
    withSharedOptions(group.command('subscribe'))
      .description('have Calendly tell this URL of bookings; makes the signing key when none is set')
      .requiredOption('--url <url>', 'public URL of the receiver', httpUrl)
      .addOption(
        new Option('--scope <scope>', 'whose bookings: your own, or everybody’s (owners and admins)')
          .choices(['user', 'organization'] as const)
          .default('user' as const),
      )
      .addHelpText('after', SUBSCRIBE_EXAMPLES)
      .action((options) =>
        runCommand(session, 'webhook subscribe', options, async (context) => {
          const { runSubscribe } = await import('./subscriptions.js');
          return runSubscribe(context, options);
        }),
      );
    withSharedOptions(group.command('list'))
      .description('show the webhook subscriptions at Calendly, and which of them are ours')
      .addHelpText('after', '\nExamples:\n  $ calendly-sync webhook list --json | jq .subscriptions')
      .action((options) =>
        runCommand(session, 'webhook list', options, async (context) => {
          const { runList } = await import('./subscriptions.js');
          return runList(context);
        }),
      );
    withSharedOptions(group.command('unsubscribe'))
      .description('remove our subscription; those of others are never touched')
      .addHelpText('after', '\nExamples:\n  $ calendly-sync webhook unsubscribe')
      .action((options) =>
        runCommand(session, 'webhook unsubscribe', options, async (context) => {
          const { runUnsubscribe } = await import('./subscriptions.js');
          return runUnsubscribe(context);
        }),
      );
    withSharedOptions(group.command('replay'))
      .description('apply kept deliveries that could not be applied when they came')
      .addHelpText('after', '\nExamples:\n  $ calendly-sync webhook replay')
      .action((options) =>
        runCommand(session, 'webhook replay', options, async (context) => {
          const { replay } = await import('./replay.js');
          return replay(context);
        }),
      );
  },
};

const SERVE_EXAMPLES = `
Examples:
  $ calendly-sync webhook serve --public-url https://hooks.example.com
  $ calendly-sync webhook serve --host 0.0.0.0 --sync-every 15m --clean-every 24h
  $ curl -s http://127.0.0.1:8787/api/calendly/webhook/test      (what to enter at Calendly, what is missing)`;

const SUBSCRIBE_EXAMPLES = `
Examples:
  $ calendly-sync webhook subscribe --url https://hooks.example.com
  $ calendly-sync webhook subscribe --url https://app.example.com/hooks/calendly --scope organization`;

function port(text: string): number {
  const number = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number <= 65_535)) throw new InvalidArgumentError('It must be a number from 0 to 65535.');
  return number;
}

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === null || ms === 0) throw new InvalidArgumentError('Write 90s, 30m, 36h or 30d.');
  return ms;
}

/** An http(s) URL without blanks, secrets or fragment. */
function httpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const good = url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.hash;
  if (!good) throw new InvalidArgumentError('Write a URL like https://hooks.example.com');
  return text.replace(/\/+$/, '');
}
