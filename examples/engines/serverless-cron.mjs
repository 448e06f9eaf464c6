// A serverless cron (Vercel and others): a function that may run for a minute. What is left is for the next start, which
// may overlap with this one. Calls without the platform's secret are refused.
import { loadConfig, openServer, syncDue } from 'calendly-sync';

const config = loadConfig(process.env);

/** @param {Request} request */
export async function GET(request) {
  if (request.headers.get('authorization') !== `Bearer ${process.env.CRON_SECRET}`)
    return new Response(null, { status: 401 });
  const database = openServer(config.databaseUrl ?? '', { max: 3 });
  try {
    const { complete, failed, skipped } = await syncDue({ database, config, due: '15m', forMs: 50_000 });
    return Response.json({ complete, failed, skipped });
  } finally {
    await database.close();
  }
}
