/** The Chromium that tests run in, where there is one. */
import { execFileSync } from "node:child_process";

const BROWSERS = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/** Its name, or undefined where none is on the PATH. */
const found = BROWSERS.find((name) => {
  try {
    execFileSync(name, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
});

export const browserName = (): string | undefined => found;

/** Where its program lies. */
export const browserOnPath = (): string | undefined =>
  found && execFileSync("which", [found], { encoding: "utf8" }).trim();
