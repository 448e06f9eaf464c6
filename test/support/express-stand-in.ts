/** No Express, but of its calling convention as much as `examples/webhook/express.mjs` uses, over the same `node:http`. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

type Next = (error?: unknown) => void;
type Handle = (request: Request, response: Response, next: Next) => unknown;

interface Request extends IncomingMessage {
  protocol: string;
  originalUrl: string;
  body?: unknown;
  get(name: string): string | undefined;
}

interface Response extends ServerResponse {
  status(code: number): Response;
  set(headers: Record<string, string>): Response;
  send(text: string): void;
}

export default function express() {
  const routes: { method?: string; path?: string; handle: Handle }[] = [];
  const route =
    (method: string) =>
    (path: string, ...handles: Handle[]) => {
      for (const handle of handles) routes.push({ method, path, handle });
    };
  const server = createServer((incoming, outgoing) => {
    const request: Request = Object.assign(incoming, {
      protocol: 'http',
      originalUrl: incoming.url ?? '',
      get: (name: string) => incoming.headers[name.toLowerCase()]?.toString(),
    });
    const response: Response = Object.assign(outgoing, {
      status(code: number) {
        outgoing.statusCode = code;
        return response;
      },
      set(headers: Record<string, string>) {
        outgoing.setHeaders(new Map(Object.entries(headers)));
        return response;
      },
      send: (text: string) => void outgoing.end(text),
    });
    const path = request.originalUrl.split('?')[0];
    const fitting = routes.filter(
      (one) => (one.method ?? request.method) === request.method && (one.path ?? path) === path,
    );
    const go = (index: number): Next => {
      return (error) => {
        const handle = fitting[index]?.handle;
        if (error === undefined && handle) handle(request, response, go(index + 1));
        else response.status(error === undefined ? 404 : 500).send('');
      };
    };
    go(0)();
  });
  return {
    post: route('POST'),
    get: route('GET'),
    use: (handle: Handle) => routes.push({ handle }),
    listen: (port: string | number, listening: () => void) => server.listen(Number(port), listening),
  };
}

/** The body as bytes. */
express.raw = (_options: object): Handle => {
  return async (request, _response, next) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    request.body = Buffer.concat(chunks);
    next();
  };
};

/** The body parsed: of what comes before it, nothing is left to be read. */
express.json = (): Handle => {
  return async (request, _response, next) => {
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += chunk;
    request.body = JSON.parse(text || '{}');
    next();
  };
};
