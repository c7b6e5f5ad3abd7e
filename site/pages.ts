/** The README and docs/ as pages of the site: their links lead to pages, and snippets that the studio can run say so. */
import { cpSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { studioLink } from "./studio-link.ts";

/** Files of the repository beside docs/ that are pages too. */
const BESIDE: Readonly<Record<string, string>> = {
  "README.md": "index.md",
  "CONTRIBUTING.md": "contributing.md",
  "CHANGELOG.md": "changelog.md",
};

const pageOf = (file: string): string | undefined => {
  if (file in BESIDE) return BESIDE[file];
  return file.startsWith("docs/") ? file.slice("docs/".length) : undefined;
};

/** Every page: its path and its text. */
export function documentPages(root: URL): [path: string, text: string][] {
  const docs = readdirSync(new URL("docs", root), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md") && !name.startsWith("api"))
    .map((name) => `docs/${name}`);
  return [...Object.keys(BESIDE), ...docs].map((file) => {
    const text = linked(readFileSync(new URL(file, root), "utf8"), file);
    return [pageOf(file)!, file === "README.md" ? home(text) : text];
  });
}

/** Links of a file, as its page has them. What is no page is named, since there is nothing to lead to. */
function linked(text: string, file: string): string {
  const from = pageOf(file)!;
  const links = text.replace(/(!?)\[([^\]]*)\]\(([^)\s]+)\)/g, (whole, mark: string, words: string, target: string) => {
    const [path, anchor] = target.split("#");
    if (path === "" || /^[a-z]+:/.test(path)) return whole;
    const page = pageOf(posix.normalize(posix.join(posix.dirname(file), path)));
    if (page === undefined) return words.startsWith("`") ? words : `\`${words}\``;
    const relative = posix.relative(posix.dirname(from), page);
    const near = relative.startsWith(".") ? relative : `./${relative}`;
    return `${mark}[${words}](${near}${anchor === undefined ? "" : `#${anchor}`})`;
  });
  return links.replace(/^```ts\n([\s\S]*?)^```\n/gm, (block, code: string) => {
    const link = studioLink(code);
    return link === undefined ? block : `${block}\n${openInStudio(link)}\n`;
  });
}

export const openInStudio = (link: string): string =>
  `<p><a class="open-in-studio" target="_self" href="${link}">Open in the studio</a></p>`;

/** The first page: the README with the studio before it. */
function home(text: string): string {
  const [, picture] = /^(!\[.*\]\(.*studio\.png\))$/m.exec(text) ?? [];
  if (picture === undefined) throw new Error("The README shows no picture of the studio.");
  return `---
layout: doc
sidebar: true
---
${text.replace(picture, `[${picture}](./studio/){target="_self"}\n\n[**Open the studio**](./studio/){target="_self"} · [Lessons](./lessons/) · [Guide](./guide/1-first-network.md)`)}`;
}

/** Pictures lie beside the pages as they lie beside the documents. */
export function copyPictures(root: URL, pages: URL): void {
  for (const name of readdirSync(new URL("docs", root), { encoding: "utf8" }))
    if (/\.(png|svg)$/.test(name)) cpSync(new URL(`docs/${name}`, root), new URL(name, pages));
  mkdirSync(new URL("public", pages), { recursive: true });
  cpSync(new URL("studio/public/icon.svg", root), new URL("public/icon.svg", pages));
}
