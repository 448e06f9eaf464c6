/** A TLS endpoint in front of a Postgres that speaks plain text, and certificates for it, created by openssl. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { onTestFinished } from 'vitest';
import { temporaryFolder } from './program.js';

/** Paths of PEM files. The certificate is self-signed, so it is its own CA. */
export interface Certificate {
  cert: string;
  key: string;
}

/** Creates a certificate for a name or address, such as `DNS:localhost` or `IP:127.0.0.1`. */
export function createCertificate(subject: string): Certificate {
  const folder = temporaryFolder();
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const request = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '1',
  ];
  const names = ['-subj', '/CN=test', '-addext', `subjectAltName=${subject}`];
  execFileSync('openssl', [...request, ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { cert, key };
}

/** The 8 bytes with which a client asks for TLS: length 8, code 80877103. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/**
 * Starts a proxy that offers TLS with a certificate, or refuses it without one.
 * @returns its port, and the connections so far: `plain`, or `tls` with the name in the client's certificate
 */
export async function startTlsProxy(databaseUrl: string, certificate: Certificate | null) {
  const target = new URL(databaseUrl);
  const connections: string[] = [];
  const sockets = new Set<Socket>();
  const forward = (client: Socket, first: Buffer) => {
    const server = connect(Number(target.port), target.hostname);
    sockets.add(server);
    client.on('close', () => server.destroy());
    server.on('error', () => {}).on('close', () => client.destroy());
    server.write(first);
    client.pipe(server).pipe(client);
  };
  const proxy = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', (first) => {
      if (!first.equals(SSL_REQUEST)) {
        connections.push('plain');
        return forward(socket, first);
      }
      socket.write(certificate ? 'S' : 'N');
      if (!certificate)
        return socket.once('data', (next) =>
          next[0] === 22 ? socket.destroy() : proxy.emit('plain', socket, next),
        );
      const secure = new TLSSocket(socket, {
        isServer: true,
        cert: readFileSync(certificate.cert),
        key: readFileSync(certificate.key),
        requestCert: true,
        rejectUnauthorized: false,
      });
      secure.on('error', () => {});
      secure.once('data', (next) => {
        const { subject } = secure.getPeerCertificate();
        connections.push(`tls ${subject?.CN ?? ''}`.trim());
        forward(secure, next);
      });
    });
  });
  proxy.on('plain', (socket: Socket, first: Buffer) => {
    connections.push('plain');
    forward(socket, first);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  const url = (host: string, query: string) => {
    const to = new URL(databaseUrl);
    to.hostname = host;
    to.port = String((proxy.address() as AddressInfo).port);
    to.search = query;
    return to.href;
  };
  return { connections, url };
}
