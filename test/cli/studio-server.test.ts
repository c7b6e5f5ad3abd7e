/** The studio's server gives its files to this machine and refuses everything else, hostile requests among it. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { studioServer } from "../../src/cli/studio/server.ts";

const folder = mkdtempSync(join(tmpdir(), "chainrule-studio-"));
const page = `${folder}/page/`;
let server: Server;
let port: number;

beforeAll(async () => {
  mkdirSync(`${page}assets`, { recursive: true });
  writeFileSync(`${page}index.html`, "<!doctype html>the page");
  writeFileSync(`${page}assets/a.js`, "the script");
  writeFileSync(`${folder}/secret.txt`, "the secret");
  symlinkSync(`${folder}/secret.txt`, `${page}link.txt`);
  writeFileSync(`${folder}/my iris.csv`, "a,b\n1,2\n");
  server = studioServer(page, [{ name: "my iris.csv", path: `${folder}/my iris.csv` }]);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

/** Sends bytes as they are, and gives all that comes back; nothing corrects a request on its way. */
function raw(text: string, { wait = 8000 } = {}): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let answer = "";
    const timer = setTimeout(() => socket.destroy(), wait);
    socket.on("data", (piece) => {
      answer += piece.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(answer);
    });
    socket.write(text, "latin1");
  });
}

const request = (path: string, { method = "GET", host = `127.0.0.1:${port}`, headers = "" } = {}): string =>
  `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${headers}\r\n`;

const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0);

describe("what is meant", () => {
  test.each([
    ["/", "the page"],
    ["/index.html", "the page"],
    ["/?open=/open/x", "the page"],
    ["/assets/a.js", "the script"],
    ["/open/my%20iris.csv", "a,b"],
  ])("%s is given", async (path, content) => {
    const answer = await raw(request(path));
    expect(statusOf(answer)).toBe(200);
    expect(answer).toContain(content);
  });

  test("localhost is this machine too; HEAD has no body", async () => {
    expect(statusOf(await raw(request("/", { host: `localhost:${port}` })))).toBe(200);
    const head = await raw(request("/", { method: "HEAD" }));
    expect(statusOf(head)).toBe(200);
    expect(head).not.toContain("the page");
  });

  test("the page is isolated, and may run its own scripts only", async () => {
    const answer = await raw(request("/"));
    expect(answer).toMatch(/Cross-Origin-Opener-Policy: same-origin/i);
    expect(answer).toMatch(/Cross-Origin-Embedder-Policy: require-corp/i);
    expect(answer).toMatch(/Content-Security-Policy: default-src 'none'; script-src 'self' 'wasm-unsafe-eval'/i);
    expect(answer).not.toMatch(/unsafe-inline|unsafe-eval'(?<!wasm-unsafe-eval')/);
    expect(answer).toMatch(/X-Content-Type-Options: nosniff/i);
  });
});

/** Each with the statuses that refuse it; 0 is a connection that was closed without a word. */
const HOSTILE: readonly (readonly [string, () => string, readonly number[]])[] = [
  // Names that are made to point here.
  ["another host", () => request("/", { host: "evil.example" }), [421]],
  ["another host at this port", () => request("/", { host: `evil.example:${port}` }), [421]],
  ["this host at another port", () => request("/", { host: "127.0.0.1:1" }), [421]],
  ["this host without its port", () => request("/", { host: "127.0.0.1" }), [421]],
  ["a host that begins like this one", () => request("/", { host: `127.0.0.1:${port}.evil.example` }), [421]],
  ["a host with a user before it", () => request("/", { host: `127.0.0.1:${port}@evil.example` }), [421]],
  ["the address 0.0.0.0", () => request("/", { host: `0.0.0.0:${port}` }), [421]],
  ["an empty host", () => request("/", { host: "" }), [400, 421]],
  ["no host", () => "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", [400, 421]],
  ["two hosts", () => request("/", { headers: "Host: evil.example\r\n" }), [400, 421]],
  ["HTTP/1.0 without a host", () => "GET / HTTP/1.0\r\n\r\n", [421]],
  // Pages of others.
  ["another origin", () => request("/", { headers: "Origin: https://evil.example\r\n" }), [403]],
  ["no origin that has a name", () => request("/", { headers: "Origin: null\r\n" }), [403]],
  ["this origin over https", () => request("/", { headers: `Origin: https://127.0.0.1:${port}\r\n` }), [403]],
  ["this origin at another port", () => request("/", { headers: "Origin: http://127.0.0.1:1\r\n" }), [403]],
  [
    "an origin that begins like this one",
    () => request("/", { headers: `Origin: http://127.0.0.1:${port}.evil.example\r\n` }),
    [403],
  ],
  ["a script of another site", () => request("/assets/a.js", { headers: "Sec-Fetch-Site: cross-site\r\n" }), [403]],
  ["a page of the same site", () => request("/", { headers: "Sec-Fetch-Site: same-site\r\n" }), [403]],
  // Ways out of the folder.
  ["a path up", () => request("/../secret.txt"), [400, 404]],
  ["a path up from a folder", () => request("/assets/../../secret.txt"), [404]],
  ["a path up, encoded", () => request("/%2e%2e/secret.txt"), [404]],
  ["a path up, encoded twice", () => request("/%252e%252e/secret.txt"), [404]],
  ["a path up with encoded slashes", () => request("/..%2fsecret.txt"), [404]],
  ["a path up with backslashes", () => request("/..\\secret.txt"), [404]],
  ["a path up with encoded backslashes", () => request("/%5c..%5csecret.txt"), [404]],
  ["a path up in overlong UTF-8", () => request("/%c0%ae%c0%ae/secret.txt"), [404]],
  ["an absolute path", () => request("//etc/passwd"), [404]],
  ["a file address", () => request("file:///etc/passwd"), [404]],
  ["an address of another host", () => request("http://evil.example/index.html"), [404]],
  ["a link that leads out", () => request("/link.txt"), [404]],
  ["a path with a zero", () => request("/index.html%00.txt"), [404]],
  ["a path with a raw zero", () => request("/index.html\0.txt"), [400]],
  ["the shared file's neighbour", () => request("/open/secret.txt"), [404]],
  ["a path up from the shared file", () => request("/open/..%2Fsecret.txt"), [404]],
  ["a folder", () => request("/assets/"), [404]],
  ["a name of the prototype", () => request("/__proto__"), [404]],
  // What is not asking for a file.
  ["POST", () => request("/", { method: "POST", headers: "Content-Length: 2\r\n" }).concat("{}"), [405]],
  ["PUT", () => request("/index.html", { method: "PUT", headers: "Content-Length: 0\r\n" }), [405]],
  ["DELETE", () => request("/index.html", { method: "DELETE" }), [405]],
  ["OPTIONS", () => request("/", { method: "OPTIONS" }), [405]],
  ["TRACE", () => request("/", { method: "TRACE" }), [405]],
  ["CONNECT", () => "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n", [0]],
  [
    "an upgrade",
    () => request("/", { headers: "Upgrade: websocket\r\n" }).replace("Connection: close", "Connection: Upgrade"),
    [0],
  ],
  ["GET with a body", () => request("/", { headers: "Content-Length: 5\r\n" }).concat("hello"), [400]],
  [
    "GET with a body in pieces",
    () => request("/", { headers: "Transfer-Encoding: chunked\r\n" }).concat("0\r\n\r\n"),
    [400],
  ],
  [
    "two lengths (smuggling)",
    () => request("/", { headers: "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" }).concat("0\r\n\r\n"),
    [400],
  ],
  // Too much, and what is no HTTP.
  ["an address of 4,000 letters", () => request(`/${"a".repeat(4000)}`), [404, 414]],
  ["headers of 100 kB", () => request("/", { headers: `X-Long: ${"a".repeat(100_000)}\r\n` }), [431, 0]],
  [
    "5,000 headers",
    () => request("/", { headers: Array.from({ length: 5000 }, (_, i) => `X-${i}: 1\r\n`).join("") }),
    [431, 0],
  ],
  ["a line break in a header", () => request("/", { headers: "X-A: 1\rX-B: 2\r\n" }), [400]],
  ["no HTTP at all", () => "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [400, 0]],
];

describe(`${HOSTILE.length} hostile requests`, () => {
  test.each(HOSTILE)("%s is refused", async (_, text, statuses) => {
    const answer = await raw(text());
    expect(statuses).toContain(statusOf(answer));
    expect(answer).not.toMatch(/the page|the secret|root:/);
  });

  test("a request that comes a letter at a time, or never ends, is let go", async () => {
    const start = performance.now();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => raw("GET / HTTP/1.1\r\nHost: 127.0.0.1", { wait: 15_000 })),
    );
    expect(performance.now() - start).toBeLessThan(14_000);
    for (const answer of answers) expect([0, 408]).toContain(statusOf(answer));
    // Nobody else was kept out meanwhile, nor is now.
    expect(statusOf(await raw(request("/")))).toBe(200);
  });
});

test("it listens on this machine alone", () => {
  expect((server.address() as AddressInfo).address).toBe("127.0.0.1");
});
