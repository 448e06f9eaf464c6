/**
 * Limits the connections of an HTTP server. At the limit the connection that has been without a complete request for
 * longest is destroyed and the new one is accepted: idle connections must not keep real senders out.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** @param onDropped called for each connection that is destroyed because of the limit */
export function limitConnections(server: Server, max: number, onDropped: () => void): void {
  let open = 0;
  /** Connections without a complete request, the longest first. */
  const waiting = new Set<Socket>();
  server.on('connection', (socket) => {
    open++;
    waiting.add(socket);
    socket.once('close', () => {
      open--;
      waiting.delete(socket);
    });
    if (open <= max) return;
    const [longest = socket] = waiting;
    waiting.delete(longest);
    longest.destroy();
    onDropped();
  });
  server.on('request', (request, response) => {
    const { socket } = request;
    request.once('end', () => waiting.delete(socket));
    response.once('close', () => {
      waiting.delete(socket);
      if (!socket.destroyed) waiting.add(socket);
    });
  });
}
