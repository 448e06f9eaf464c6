/** Five processes over many accounts, one killed each second, one frozen past its lease: directly and through poolers. */
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { connectedAccounts } from '../support/accounts.js';
import { poolers } from '../support/poolers.js';
import { start, temporaryFolder } from '../support/program.js';

const HOSTS = 100;
const TIMEOUT_MS = 180_000;
const ROOT = join(import.meta.dirname, '../..');
type Running = ReturnType<typeof start>;

/**
 * Notes each write with the process that made it, as far as a pooler lets it through, and the holder at that moment; and
 * for what a run has found, the lease number of the run and the one in force.
 */
const NOTE_WRITES = `
  create table writes (account_id bigint, lease_no bigint, run_id bigint, writer text, holder text);
  create function note_write() returns trigger language plpgsql as $$ begin
    insert into writes
    select account_id, lease_no, (to_jsonb(new) ->> 'run_id')::bigint, current_setting('application_name'),
      'p' || (lease_owner::jsonb ->> 'pid')
    from calendly_leases where account_id = new.account_id;
    return new;
  end $$;
  create trigger note_write after insert or update on calendly_pending_events
    for each row execute function note_write();
  create trigger note_write after insert or update on calendly_events for each row execute function note_write()`;

/** The built program without the fence: what the fence is for must happen then. */
function unfencedProgram(): string {
  const folder = temporaryFolder();
  for (const part of ['dist', 'sql', 'package.json'])
    cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const file = join(folder, 'dist/src/accounts/lease.js');
  const code = readFileSync(file, 'utf8');
  const without = code.replace('if (!(await fence))', 'if (false)');
  if (without === code) throw new Error('the fence is written in another way');
  writeFileSync(file, without);
  return join(folder, 'dist/bin/calendly-sync.js');
}

/** Runs five processes over all accounts until each is synced; returns the accounts and the late writes. */
async function race(program: string | undefined, through?: (url: string) => Promise<string>) {
  const connected = await connectedAccounts({ hosts: HOSTS, events: 4, latency: 60 }, through);
  const { sql, settings } = connected;
  await sql.unsafe(NOTE_WRITES);
  const running = new Set<Running>();
  /** Processes by the name that their connections have. */
  const writers = new Map<string, string>();
  const run = () => {
    const argv = ['sync', '--every', '1h', '--accounts', '8', '--concurrency', '1', '--quiet'];
    const name = `writer ${writers.size}`;
    const url = new URL(settings.DATABASE_URL);
    url.searchParams.set('application_name', name);
    const one = start(
      argv,
      { ...settings, DATABASE_URL: url.href },
      program === undefined ? {} : { program },
    );
    writers.set(name, `p${one.child.pid}`);
    running.add(one);
    void one.ended.then(() => running.delete(one));
    return one;
  };
  onTestFinished(() => {
    for (const { child } of running) child.kill('SIGKILL');
  });
  const [frozen] = Array.from({ length: 5 }, run);
  const pid = String(frozen?.child.pid);
  const held = async () =>
    (
      await sql`
    select from calendly_leases l join writes w using (account_id, lease_no)
    where lease_owner::jsonb ->> 'pid' = ${pid} and lease_until > now()`
    ).length;
  await expect.poll(held, { interval: 20, timeout: 20_000 }).toBeGreaterThan(2);
  frozen?.child.kill('SIGSTOP');
  // As if its leases had expired, and the server had ended the transactions in which it holds them.
  let expired = false;
  const expire =
    sql`update calendly_leases set lease_until = now() where lease_owner::jsonb ->> 'pid' = ${pid}`.then(
      () => {
        expired = true;
      },
    );
  while (!expired) {
    await sql`
      select pg_terminate_backend(holder) from pg_stat_activity, unnest(pg_blocking_pids(pid)) as holder
      where query like 'update calendly_leases set lease_until = now() where lease_owner%'`;
    await delay(50);
  }
  await expire;
  const open = async () =>
    (await sql`select count(*)::int as n from calendly_leases where finished_at is null`)[0]?.n ?? 0;
  for (let second = 0; second < 120 && (await open()) > 0; second++) {
    if (second === 3) frozen?.child.kill('SIGCONT');
    if (second < 8) {
      [...running].find((one) => one !== frozen)?.child.kill('SIGKILL');
      run();
    }
    await delay(1_000);
  }
  frozen?.child.kill('SIGCONT');
  await delay(1_000);
  for (const { child } of running) child.kill('SIGTERM');
  await Promise.all([...running].map(({ ended }) => ended));
  const kinds = await sql<{ writer: string; holder: string | null; outdated: boolean; n: number }[]>`
    select writer, holder, coalesce(run_id <> lease_no, false) as outdated, count(*)::int as n from writes group by 1, 2, 3`;
  const late = kinds
    .filter(({ writer, holder, outdated }) => outdated || (writers.get(writer) ?? holder) !== holder)
    .reduce((sum, { n }) => sum + n, 0);
  const named = kinds.some(({ writer }) => writers.has(writer));
  return { ...connected, open: await open(), late, named };
}

const ways = [
  { name: 'directly', startPooler: null },
  ...poolers.map((pooler) => ({ name: `through ${pooler.name}`, startPooler: pooler.start })),
];

describe.each(ways)('processes $name', ({ name, startPooler }) => {
  test(
    `five processes, killed and frozen, sync every account and write nothing late, ${name}`,
    async () => {
      const { sql, sandbox, open, late } = await race(undefined, async (url) => {
        if (!startPooler) return url;
        const pooler = await startPooler(url, 20);
        onTestFinished(async () => void (await pooler.stop()));
        return pooler.url;
      });
      expect({ open, late }).toEqual({ open: 0, late: 0 });
      // No row is under another user, and every event says which account brought it.
      const [rows] = await sql`
      select count(*)::int as all, count(*) filter (where m.user_id <> a.user_id)::int as of_others,
        count(*) filter (where e.account_id is distinct from a.id)::int as without_account,
        count(*) filter (where m.raw -> 'event_memberships' @> jsonb_build_array(
          jsonb_build_object('user', a.calendly_uri)))::int as hosted
      from calendly_events e join calendly_accounts a on a.user_id = e.user_id join meetings m on m.id = e.meeting_id`;
      expect(rows).toMatchObject({ of_others: 0, without_account: 0, hosted: rows?.all });
      // A token asks for its own user only.
      const foreign = sandbox
        .requests()
        .filter(
          ({ path, query, user }) =>
            path === '/scheduled_events' && new URLSearchParams(query).get('user') !== user,
        );
      expect(foreign).toEqual([]);
    },
    TIMEOUT_MS,
  );
});

test(
  'without the fence, the same processes write late: the fence is what prevents it',
  async () => {
    const program = unfencedProgram();
    let late = 0;
    // A process may be frozen just where nothing of its is left to write.
    for (let races = 0; late === 0 && races < 5; races++) {
      const result = await race(program);
      expect(result.named).toBe(true);
      late = result.late;
    }
    expect(late).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);
