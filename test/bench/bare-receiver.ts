/**
 * The least that a receiver can do: node:http and one insert per delivery. No signature, no ledger, one row.
 * Reads DATABASE_URL; the argument is its port.
 */
import { createServer } from 'node:http';
import postgres from 'postgres';

const sql = postgres(process.env.DATABASE_URL ?? '', { onnotice: () => {} });

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  if (chunks.length > 0) {
    const text = Buffer.concat(chunks).toString();
    await sql`insert into bench_deliveries (payload) values (${text}::text::jsonb)`;
  }
  response.end('{"ok":true}');
});
server.listen(Number(process.argv[2]), '127.0.0.1');
process.on('SIGTERM', () => process.exit());
