/**
 * Serves the studio's page to this machine and to nobody else. It only gives files, those of the page and those that were
 * named on the command line; the page computes everything itself, and nothing comes back. A page of another origin that
 * guesses the address, a name that is made to point here, a path that leads out of the folder: all are refused.
 */
import { readdirSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { extname, join } from "node:path";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".json": "application/json",
};

/** What the page may do: run its own scripts and WebAssembly, fetch from here, nothing else. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  // Helper threads begin as blobs.
  "worker-src 'self' blob:",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const HEADERS: Readonly<Record<string, string>> = {
  "Content-Security-Policy": POLICY,
  // Shared memory, and so threads, only in a page that is isolated from all others.
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "Cache-Control": "no-store",
};

const LONGEST_URL = 2000;

/** A file that the page may ask for beside its own. */
export interface SharedFile {
  readonly name: string;
  readonly path: string;
}

/** Where the page finds the shared file. */
export const sharedPath = (name: string): string => `/open/${encodeURIComponent(name)}`;

/** Every path that is served, with what lies there: what is not in this list does not exist. */
function listed(folder: string, shared: readonly SharedFile[]): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const paths = new Map(
    files.map((file) => [`/${encodeURI(file.slice(folder.length).replaceAll("\\", "/").replace(/^\/+/, ""))}`, file]),
  );
  const index = paths.get("/index.html");
  if (index) paths.set("/", index);
  for (const { name, path } of shared) paths.set(sharedPath(name), path);
  return paths;
}

/** Why a request is refused, or undefined. */
function refusal({
  method,
  url = "",
  headers,
  rawHeaders,
  socket,
}: IncomingMessage): readonly [status: number, why: string] | undefined {
  const port = socket.localPort;
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  // A name of somebody else's that points to this machine (DNS rebinding) comes with that name.
  const named = rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === "host");
  if (named.length !== 1 || !hosts.includes(headers.host ?? "")) return [421, "This server answers to 127.0.0.1 only."];
  const { origin } = headers;
  if (origin !== undefined && !hosts.some((host) => origin === `http://${host}`))
    return [403, "Requests of other pages are refused."];
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none")
    return [403, "Requests of other pages are refused."];
  if (method !== "GET" && method !== "HEAD") return [405, "This server only gives files."];
  if (headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined)
    return [400, "A request for a file has no body."];
  return url.length > LONGEST_URL ? [414, "The address is too long."] : undefined;
}

/**
 * A server of the studio's folder, not yet listening.
 * @param folder the built page
 * @param shared files that the page opens with
 */
export function studioServer(folder: string, shared: readonly SharedFile[] = []): Server {
  const paths = listed(folder, shared);
  const answer = (request: IncomingMessage, response: ServerResponse): ServerResponse => {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    const end = (status: number, text: string): ServerResponse => {
      response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8", Connection: "close" });
      return response.end(request.method === "HEAD" ? undefined : `${text}\n`);
    };
    const refused = refusal(request);
    if (refused) return end(...refused);
    // As it was sent: nothing is decoded, so nothing can be hidden in an encoding.
    const [path] = (request.url ?? "").split("?", 1);
    const file = paths.get(path);
    if (file === undefined) return end(404, "There is no such file here.");
    let content: Buffer;
    try {
      content = readFileSync(file);
    } catch {
      return end(404, "The file cannot be read any more.");
    }
    response.writeHead(200, {
      "Content-Type": path.startsWith("/open/")
        ? "application/octet-stream"
        : (TYPES[extname(file)] ?? "application/octet-stream"),
      "Content-Length": content.length,
    });
    return response.end(request.method === "HEAD" ? undefined : content);
  };
  const server = createServer(
    {
      maxHeaderSize: 8192,
      requestTimeout: 10_000,
      headersTimeout: 5000,
      keepAliveTimeout: 5000,
      connectionsCheckingInterval: 1000,
    },
    answer,
  );
  // Nothing is upgraded, tunnelled or continued.
  server.on("upgrade", (_, socket) => socket.destroy());
  server.on("connect", (_, socket) => socket.destroy());
  server.on("checkContinue", answer);
  server.maxConnections = 64;
  return server;
}
