// For `calendly-sync sync --tokens FILE`, and as `tokens` of syncDue() and keepSynced(): the tokens stay in a table of your
// application, and your application is the only one that refreshes them. This refreshes under a lock of the row; whatever
// else in your application refreshes these tokens must take the same lock.
import postgres from 'postgres';

const sql = postgres(process.env.DATABASE_URL ?? '', { max: 2, idle_timeout: 5 });
const credentials = `${process.env.CALENDLY_CLIENT_ID}:${process.env.CALENDLY_CLIENT_SECRET}`;

export default {
  async get({ userId, minValidMs }) {
    return sql.begin(async (tx) => {
      const [row] = await tx`select * from calendar_connections where user_id = ${userId} for update`;
      if (!row) throw new Error(`user ${userId} is not connected`);
      if (row.expires_at - Date.now() >= minValidMs) return { accessToken: row.access_token };
      const response = await fetch(
        `${process.env.CALENDLY_AUTH_URL ?? 'https://auth.calendly.com'}/oauth/token`,
        {
          method: 'POST',
          headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` },
          body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: row.refresh_token }),
        },
      );
      if (!response.ok) throw new Error(`Calendly answered ${response.status}`);
      const pair = await response.json();
      await tx`
        update calendar_connections
        set access_token = ${pair.access_token}, refresh_token = ${pair.refresh_token},
          expires_at = now() + make_interval(secs => ${pair.expires_in})
        where user_id = ${userId}`;
      return { accessToken: pair.access_token };
    });
  },
  async list() {
    const rows = await sql`select user_id from calendar_connections`;
    return rows.map(({ user_id }) => ({ userId: user_id }));
  },
};
