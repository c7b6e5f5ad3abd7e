/**
 * Builds the site into site/dist: pages out of docs/, the README and the lessons, then VitePress, then the studio and the
 * reference beside them. `npm run site` in the repository's root calls it; SITE_BASE is the path that a host serves it under.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { lessonPages } from "./lesson-pages.ts";
import { copyPictures, documentPages } from "./pages.ts";

const own = new URL(".", import.meta.url);
const root = new URL("..", own);
const npm = (...args: string[]): void => {
  execFileSync("npm", args, { cwd: root, stdio: "inherit" });
};

rmSync(new URL("pages", own), { recursive: true, force: true });
for (const [path, text] of [...documentPages(root), ...(await lessonPages(root))]) {
  const file = new URL(`pages/${path}`, own);
  mkdirSync(dirname(file.pathname), { recursive: true });
  writeFileSync(file, text);
}
copyPictures(root, new URL("pages/", own));
execFileSync("npx", ["vitepress", "build", "."], { cwd: own, stdio: "inherit" });
npm("run", "build:studio", "--silent");
npm("run", "docs:api", "--silent");
cpSync(new URL("dist/studio", root), new URL("dist/studio", own), { recursive: true });
cpSync(new URL("docs/api", root), new URL("dist/api", own), { recursive: true });
console.log("The site is in site/dist. Any host of static files can serve it; npm run preview --prefix site shows it.");
