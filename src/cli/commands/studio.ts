/** `chainrule studio [MODEL] [DATA]`: opens the page that trains and explains, on this machine. */
import { spawn } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { basename, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { FileError, PlatformError } from "../../index.ts";
import { type SharedFile, sharedPath, studioServer } from "../studio/server.ts";
import { UsageError } from "../terminal/exit.ts";

export function register(program: Command): void {
  program
    .command("studio")
    .summary("open the page that trains and explains")
    .description(
      "Opens the studio in the browser: train on your own data, look at every number of forward and backward propagation, go back in time. It is served to this machine only, and everything is computed in the page: your data go nowhere.",
    )
    .argument("[model]", "a file that train or the studio wrote, to look at with the data after it; or the data alone")
    .argument(
      "[data]",
      "a table (CSV, JSON), an .npz or a zip of pictures to open with, or one of xor, circles, moons, spirals, curve, iris, mnist",
    )
    .option("--port <number>", "the port to listen on; a free one unless said", readPort)
    .option("--no-open", "do not open the browser; the address is printed")
    .action(studio);
}

function readPort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port < 65536) return port;
  throw new UsageError(`--port ${text}: a port is a whole number from 0 to 65535.`);
}

/** Data sets that the page has itself, by the names that the command knows them under. */
const OWN = ["xor", "circles", "moons", "spirals", "curve", "iris", "mnist"];

/** The built page: beside the command in the published package, in dist in the repository. */
function builtPage(): string {
  const places = ["../../studio/", "../../../dist/studio/"].map((place) =>
    fileURLToPath(new URL(place, import.meta.url)),
  );
  const found = places.find((place) => existsSync(`${place}index.html`));
  if (found !== undefined) return found;
  throw new PlatformError("The studio's page is not built. In the repository, npm run studio builds and opens it.");
}

const isModel = (path: string): boolean => /\.safetensors$/i.test(path);

function sharedFile(given: string): SharedFile {
  const path = resolve(given);
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found)
    throw new FileError(
      `${given} could not be read: there is no such file. Data sets without a file are ${OWN.join(", ")}.`,
      given,
    );
  if (!found.isFile())
    throw new UsageError(`${given} is a folder. Open the studio without it, and drop the folder onto the page.`);
  return { name: basename(path), path };
}

/** The model and the data that the page opens with. */
function named(first: string | undefined, second: string | undefined): { model?: string; data?: string } {
  if (first === undefined) return {};
  if (second === undefined && isModel(first))
    throw new UsageError(
      `${first} is a model; name the data to look at it with, such as chainrule studio ${first} mnist.`,
    );
  if (second === undefined) return { data: first };
  if (isModel(first) && !isModel(second)) return { model: first, data: second };
  throw new UsageError("The studio takes a model and then data, or data alone.");
}

async function studio(
  first: string | undefined,
  second: string | undefined,
  { port = 0, open }: { readonly port?: number; readonly open: boolean },
): Promise<void> {
  const { model, data } = named(first, second);
  const isOwn = data !== undefined && OWN.includes(data);
  const shared = [model, isOwn ? undefined : data].filter((path) => path !== undefined).map(sharedFile);
  const server = studioServer(builtPage(), shared);
  await new Promise<void>((listening, failed) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      failed(
        error.code === "EADDRINUSE"
          ? new UsageError(`--port ${port}: another program listens there. Take another one, or none.`)
          : error,
      ),
    );
    server.listen(port, "127.0.0.1", listening);
  });
  const query = new URLSearchParams(shared.map(({ name }) => ["open", sharedPath(name)]));
  if (isOwn) query.set("data", data);
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${query.size > 0 ? `?${query}` : ""}`;
  process.stdout.write(`chainrule studio: ${address}\nEverything is computed in the page. Ctrl-C ends it.\n`);
  if (open) openBrowser(address);
  await new Promise<void>((closed) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const)
      process.once(signal, () => {
        server.closeAllConnections();
        server.close(() => closed());
      });
  });
}

/** Opens the system's browser; where there is none, the printed address must do. */
function openBrowser(address: string): void {
  const [command, ...before] = { darwin: ["open"], win32: ["cmd", "/c", "start", '""'] }[
    process.platform as string
  ] ?? ["xdg-open"];
  const child = spawn(command, [...before, address], { stdio: "ignore", detached: true });
  child.on("error", () => {});
  child.unref();
}
