/**
 * Limits the connections of an HTTP server. At the limit the connection that has been without a complete request for
 * longest is destroyed and the new one is accepted: idle connections must not keep real senders out. A connection that
 * sends a request before the last one is answered is destroyed, too: what it sends would fill the memory.
 */
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** @param onDropped called for each connection that is destroyed because of a limit */
export function limitConnections(server: Server, max: number, onDropped: () => void): void {
  let open = 0;
  /** Connections without a complete request, the longest first. */
  const waiting = new Set<Socket>();
  /** The last response on each connection. */
  const responses = new Map<Socket, ServerResponse>();
  server.on('connection', (socket) => {
    open++;
    waiting.add(socket);
    socket.once('close', () => {
      open--;
      waiting.delete(socket);
      responses.delete(socket);
    });
    if (open <= max) return;
    const [longest = socket] = waiting;
    waiting.delete(longest);
    longest.destroy();
    onDropped();
  });
  server.on('request', (request, response) => {
    const { socket } = request;
    if (responses.get(socket)?.writableEnded === false) {
      socket.destroy();
      onDropped();
      return;
    }
    responses.set(socket, response);
    request.once('end', () => waiting.delete(socket));
    response.once('close', () => {
      waiting.delete(socket);
      if (!socket.destroyed) waiting.add(socket);
    });
  });
}
