/** What `calendly-sync sandbox --help` says after its options: the control API, with commands to paste. Text only. */

export const SANDBOX_HELP = `
It answers like api.calendly.com on the endpoints that this tool uses. Host 0 is
the organization's owner, host 1 a plain member, host 2 an admin. Bookings,
cancellations and no-shows are told to webhook subscriptions within a moment.

Control API (JSON, only from this machine), below URL/_control/:
  POST book         {"host":0,"start":"+36h","minutes":30,"invitees":1,
                     "limit":8,"name":"…","location":"zoom_conference"}
  POST cancel       {"event":E,"by":"host","reason":"…"}
  POST reschedule   {"event":E,"start":"+3d","invitee":I}
  POST join, leave  {"event":E,"invitee":…}
  POST no-show      {"event":E,"invitee":I,"marked":true}
  POST edit         {"event":E,"invitee":I,"set":{…},"unset":[…],"touch":true}
  POST delete       {"event":E}  it answers 404 from then on
  POST lose-access  {"event":E}  it answers 403 from then on
  POST restore      {"event":E}  undoes these two
  POST fail         {"kind":K,"count":1,"match":"regexp","after":0,"rate":1}
  GET, DELETE faults               what is still to fail; nothing any more
  POST grant        {"host":0,"scopes":null}  a token, an OAuth pair, a code
  POST revoke       {"token":T} or {"host":0}, "how":"revoked" or "expired"
  POST rate-limit   {"limit":50}
  POST advance      {"by":"61s"}  puts its clock forward;  GET clock
  POST webhooks     {"retry_scale":0.001}  retries come so much sooner
  POST redeliver    {"delivery":1}  and GET deliveries, with their attempts
  POST disable-subscription        {"subscription":URI}
  GET, DELETE requests             the log of requests; an empty one
  GET state                        all meetings with their invitees

E is an event's URI or id. I is an invitee's URI, id or e-mail. A start is +36h,
-2d or 2026-01-31T09:00:00Z. "invitees" is a number or a list of {"email":…,
"name":…}. Kinds of faults: status (with "status":503, "headers", "body", and
"bare":true for no rate-limit headers), html, truncated, other-shape, empty,
hang, slow ("ms"), reset, reset-body, redirect ("to"), next-page-elsewhere
("to"), page-twice, stale-token.

Examples:
  $ calendly-sync sandbox --port 8788 --latency 120
  $ curl -d '{"start":"+1h"}' http://127.0.0.1:8788/_control/book
  $ curl -d '{"kind":"status","status":503,"count":3,"match":"/invitees"}' \\
      http://127.0.0.1:8788/_control/fail
  $ curl http://127.0.0.1:8788/_control/requests`;
