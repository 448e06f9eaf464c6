/** `webhook …`: the receiver, its subscriptions at Calendly, and deliveries that could not be applied yet. */
import { Option } from '@commander-js/extra-typings';
import { commandAction, type DefineCommand } from '../command.js';
import { address, duration, durationFrom, httpUrl, port } from '../option-parsers.js';

// Loaded when one of their commands runs.
const receiver = () => import('./receiver.js');
const subscriptions = () => import('./subscriptions.js');

export const webhook: DefineCommand = (program, session) => {
  const group = program
    .command('webhook')
    .description('get bookings as they happen: the receiver and its subscriptions')
    .addHelpText('after', GROUP_EXAMPLES);
  group
    .command('serve')
    .description('receive webhooks; with both intervals it is the whole service in one process')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', 'port to listen on; 0 takes a free one (default: PORT, else 8787)', port)
    .option('--admin-port <[host:]port>', 'serve metrics and details there (host: 127.0.0.1)', address)
    .option('--page-token-file <file>', 'file with the password of the status page at /')
    .option('--public-url <url>', 'origin under which Calendly reaches it', httpUrl)
    .option('--sync-every <duration>', 'interval of the backup sync: 15m, 1h', duration)
    .option('--clean-every <duration>', 'interval at which old webhook events are deleted: 24h', duration)
    .option('--discard-unmatched', 'store deliveries of hosts who are not connected without their content')
    .option('--drain <duration>', 'before it stops, /healthz is 503 for that long', durationFrom(0), 0)
    .addOption(
      new Option('--log-format <format>', 'json: one object per line, with time, level and request id')
        .choices(['text', 'json'] as const)
        .default('text' as const),
    )
    .addHelpText('after', SERVE_EXAMPLES)
    .action(commandAction(session, async (...args) => (await receiver()).runServe(...args)));
  group
    .command('subscribe')
    .description('ask Calendly to send bookings to a URL; creates the signing key if none is set')
    .requiredOption('--url <url>', 'public URL of the receiver', httpUrl)
    .addOption(
      new Option('--scope <scope>', 'your own bookings, or those of everybody (owners and admins)')
        .choices(['user', 'organization'] as const)
        .default('user' as const),
    )
    .option('--no-ping', 'do not check first whether the receiver answers there')
    .addHelpText('after', SUBSCRIBE_EXAMPLES)
    .action(commandAction(session, async (...args) => (await subscriptions()).runSubscribe(...args)));
  group
    .command('list')
    .description('show the webhook subscriptions at Calendly, and which are from calendly-sync')
    .addHelpText('after', '\nExamples:\n  $ calendly-sync webhook list --json | jq .subscriptions')
    .action(commandAction(session, async (context) => (await subscriptions()).runList(context)));
  group
    .command('unsubscribe')
    .description('remove the subscription of calendly-sync; others are never touched')
    .addHelpText('after', '\nExamples:\n  $ calendly-sync webhook unsubscribe')
    .action(commandAction(session, async (context) => (await subscriptions()).runUnsubscribe(context)));
  group
    .command('ping')
    .description(
      'check the way from the public URL to the database with a signed request that changes nothing',
    )
    .option('--url <url>', 'public URL of the receiver (default: that of the subscription)', httpUrl)
    .addHelpText('after', '\nExamples:\n  $ calendly-sync webhook ping --url https://hooks.example.com')
    .action(commandAction(session, async (...args) => (await import('./ping.js')).runPing(...args)));
  group
    .command('replay')
    .description('apply stored deliveries that could not be applied when they arrived')
    .addHelpText('after', '\nExamples:\n  $ calendly-sync webhook replay')
    .action(commandAction(session, async (context) => (await receiver()).runReplay(context)));
};

const GROUP_EXAMPLES = `
Examples:
  $ calendly-sync webhook subscribe --url https://hooks.example.com
  $ calendly-sync webhook serve --sync-every 15m --clean-every 24h`;

const SERVE_EXAMPLES = `
Answers POST /api/calendly/webhook, GET /api/calendly/webhook/test (setup check)
and GET /healthz. The status page at / is only for a browser on this machine, or with a password.
With --admin-port, on that port only: GET /metrics, /test and /healthz
with details. On a platform that sets PORT: --host 0.0.0.0

Examples:
  $ calendly-sync webhook serve --public-url https://hooks.example.com
  $ calendly-sync webhook serve --host 0.0.0.0 --sync-every 15m --log-format json
  $ calendly-sync webhook serve --admin-port 8788
  $ curl -s http://127.0.0.1:8787/api/calendly/webhook/test`;

const SUBSCRIBE_EXAMPLES = `
Examples:
  $ calendly-sync webhook subscribe --url https://hooks.example.com
  $ calendly-sync webhook subscribe --url https://app.example.com/hooks/calendly`;
