/** `chainrule studio [DATA]`: opens the page that trains and explains, on this machine. */
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

function sharedFile(data: string | undefined): SharedFile | undefined {
  if (data === undefined || OWN.includes(data)) return undefined;
  const path = resolve(data);
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found)
    throw new FileError(
      `${data} could not be read: there is no such file. Data sets without a file are ${OWN.join(", ")}.`,
      data,
    );
  if (!found.isFile())
    throw new UsageError(`${data} is a folder. Open the studio without it, and drop the folder onto the page.`);
  if (/\.safetensors$/i.test(data))
    throw new UsageError(
      `${data} is a model; the studio opens data. For a model there are explain, evaluate and summary.`,
    );
  return { name: basename(path), path };
}

async function studio(
  data: string | undefined,
  { port = 0, open }: { readonly port?: number; readonly open: boolean },
): Promise<void> {
  const shared = sharedFile(data);
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
  const query = shared
    ? `?open=${encodeURIComponent(sharedPath(shared.name))}`
    : data !== undefined
      ? `?data=${data}`
      : "";
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${query}`;
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
