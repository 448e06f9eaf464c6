/** The control API as `sandbox --help` describes it, from the sandbox's own table of operations. Text only. */
import { describeFaults, describeOperations } from '../../sandbox/control.js';

const indented = (lines: string[]) => lines.map((line) => `  ${line}`).join('\n');

/** What follows the options. */
export function sandboxHelp(): string {
  return `
It answers like api.calendly.com on the endpoints that this tool uses. Host 0 is
the organization's owner, host 1 a plain member, host 2 an admin. Webhook
subscriptions receive bookings, cancellations and no-shows at once.

Control API (JSON, only from this machine), below URL/_control/:
${indented(describeOperations())}

An event is a URI or an id. An invitee is a URI, an id, an e-mail or a number;
-1 is the last one. A host is a number, an e-mail or a URI. A time is +36h, -2d
or 2026-01-31T09:00:00Z.
"invitees" is a number or a list of {"email":…,"name":…}.

Kinds of faults for "fail":
${indented(describeFaults())}

Examples:
  $ calendly-sync sandbox --port 8788 --latency 120
  $ curl -d '{"start":"+1h"}' http://127.0.0.1:8788/_control/book
  $ curl -d '{"kind":"status","status":503,"count":3,"match":"/invitees"}' \\
      http://127.0.0.1:8788/_control/fail
  $ curl http://127.0.0.1:8788/_control/requests`;
}
