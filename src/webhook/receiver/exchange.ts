/**
 * A request and its response without a server's types, so that one core serves Node's own HTTP server and every
 * fetch-style backend. Knows nothing of webhooks.
 */

/** A request whose body has not been read yet. */
export interface Incoming {
  method: string;
  /** Without the query. */
  path: string;
  /** Scheme and host as the client wrote them; empty if they are invalid. */
  origin: string;
  /** The value of a header, by its name in lower case. */
  header(name: string): string | null;
  /**
   * Reads the body: passes each chunk to `take` until that returns false. Resolves at the end of the body.
   * @throws Error if the client disconnects
   */
  read(take: (chunk: Uint8Array) => boolean): Promise<void>;
}

export interface Reply {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** An endpoint, for both kinds of servers. */
export interface Endpoint {
  (request: Request): Promise<Response>;
  /** The same for a server that has no `Request`. */
  respond(incoming: Incoming): Promise<Reply>;
}

/** Makes an endpoint fetch-style as well. */
export function toEndpoint(respond: (incoming: Incoming) => Promise<Reply>): Endpoint {
  const handle = async (request: Request): Promise<Response> => {
    const { status, headers, body } = await respond(fromRequest(request));
    return new Response(request.method === 'HEAD' ? null : body, { status, headers });
  };
  return Object.assign(handle, { respond });
}

export function json(status: number, body: object, headers: Record<string, string> = {}): Reply {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) };
}

function fromRequest(request: Request): Incoming {
  const { pathname: path, origin } = new URL(request.url);
  return {
    method: request.method,
    path,
    origin,
    header: (name) => request.headers.get(name),
    async read(take) {
      for await (const chunk of request.body ?? []) if (!take(chunk)) return;
    },
  };
}
