/** `account …`: connects several Calendly users, each with their own tokens. */
import { Option } from '@commander-js/extra-typings';
import { commandAction, type DefineCommand } from '../command.js';
import { httpUrl } from '../option-parsers.js';

// Loaded when one of their commands runs.
const connect = () => import('./connect.js');
const accounts = () => import('./accounts.js');

export const account: DefineCommand = (program, session) => {
  const group = program
    .command('account')
    .description('connect several Calendly users; their tokens are stored encrypted')
    .addHelpText('after', GROUP_EXAMPLES);
  group
    .command('connect')
    .description('connect a Calendly user: asks for a personal access token, or reads one')
    .option('--user <id-or-email>', 'row of users to link (default: the one with the same e-mail)')
    .option('--token-stdin', 'read a personal access token from stdin')
    .option(
      '--refresh-token-stdin',
      'read an OAuth refresh token from stdin; nobody else may use it from then on',
    )
    .option('--oauth', 'connect in the browser: open an address, and paste the one that it ends on')
    .option('--redirect-uri <url>', 'with --oauth: a redirect URI of your OAuth application', httpUrl)
    .addHelpText('after', CONNECT_EXAMPLES)
    .action(commandAction(session, async (...args) => (await connect()).runConnect(...args)));
  group
    .command('list')
    .description('show all accounts, those with trouble first')
    .addOption(
      new Option('--state <state>', 'only accounts in this state').choices([
        'active',
        'needs_reconnect',
        'disconnected',
      ] as const),
    )
    .addHelpText('after', '\nExamples:\n  $ calendly-sync account list --state needs_reconnect')
    .action(commandAction(session, async (...args) => (await accounts()).runList(...args)));
  group
    .command('disconnect')
    .description(
      'remove the tokens and the webhook subscription of a user; revokes an OAuth pair at Calendly',
    )
    .requiredOption('--user <id-or-email>', 'the user')
    .option('--erase', 'also remove the user with all of their meetings, as `erase --user` does')
    .option('--yes', 'with --erase: do not ask')
    .addHelpText('after', '\nExamples:\n  $ calendly-sync account disconnect --user dana@example.com')
    .action(
      commandAction(session, async (context, { erase, ...flags }) => {
        if (erase) return (await import('../erase/command.js')).eraseUserCommand(context, flags);
        return (await accounts()).runDisconnect(context, flags);
      }),
    );
  group
    .command('rekey')
    .description('encrypt all stored tokens with the first key of CALENDLY_SYNC_KEY')
    .addHelpText('after', REKEY_EXAMPLES)
    .action(commandAction(session, async (context) => (await accounts()).runRekey(context)));
};

const GROUP_EXAMPLES = `
Examples:
  $ calendly-sync account connect
  $ calendly-sync account list`;

const CONNECT_EXAMPLES = `
Tokens are stored encrypted with CALENDLY_SYNC_KEY. Create a key once:
  $ node -p "require('crypto').randomBytes(32).toString('base64')"

Examples:
  $ calendly-sync account connect
  $ calendly-sync account connect --user 42 --token-stdin < token.txt
  $ calendly-sync account connect --user 42 --refresh-token-stdin < refresh-token.txt
  $ calendly-sync account connect --oauth --redirect-uri https://app.example.com/calendly`;

const REKEY_EXAMPLES = `
To replace a key: set CALENDLY_SYNC_KEY=NEW,OLD everywhere, run this, then remove OLD.

Examples:
  $ calendly-sync account rekey`;
