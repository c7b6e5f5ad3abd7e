/** The site's frame: where its pages are, what stands beside them. The pages themselves are made by build.ts. */
import { readdirSync, readFileSync } from "node:fs";
import { defineConfig } from "vitepress";

const base = process.env.SITE_BASE ?? "/";
const pages = new URL("../pages/", import.meta.url);

/** The heading of a page. */
const titleOf = (path: string): string => {
  const [, title] = /^# (.*)$/m.exec(readFileSync(new URL(path, pages), "utf8")) ?? [];
  if (title === undefined) throw new Error(`${path} has no heading.`);
  return title.replaceAll("`", "");
};
const entry = (path: string) => ({ text: titleOf(path), link: `/${path.replace(/\.md$/, "")}` });
const all = (folder: string) =>
  readdirSync(new URL(folder, pages))
    .filter((name) => name.endsWith(".md") && name !== "index.md")
    .sort()
    .map((name) => entry(`${folder}${name}`));

/** Pages that are not the way in: what the project is measured by, and why it is so. */
const INSIDE = ["architecture.md", "decisions.md", "mission.md", "benchmarks.md", "contributing.md", "changelog.md"];
const used = readdirSync(pages)
  .filter((name) => name.endsWith(".md") && name !== "index.md" && !INSIDE.includes(name))
  .map(entry);

export default defineConfig({
  title: "chainrule",
  description:
    "Neural networks for TypeScript: fast training in WebAssembly, every step of backpropagation open to view.",
  lang: "en",
  base,
  head: [["link", { rel: "icon", href: `${base}icon.svg` }]],
  srcDir: "pages",
  outDir: "dist",
  cleanUrls: false,
  // Built by others: the studio by Vite, the reference by TypeDoc.
  ignoreDeadLinks: [/^\/studio\//, /^\/api\//],
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    nav: [
      { text: "Studio", link: "/studio/", target: "_self" },
      { text: "Lessons", link: "/lessons/" },
      { text: "Guide", link: "/guide/1-first-network" },
      { text: "Reference", link: "/api/", target: "_self" },
      { text: "Benchmarks", link: "/benchmarks" },
    ],
    sidebar: {
      "/lessons/": [{ text: "Lessons", link: "/lessons/", items: all("lessons/") }],
      "/": [
        { text: "Guide", items: all("guide/") },
        { text: "What it does", items: used },
        { text: "Inside", items: INSIDE.map(entry) },
      ],
    },
  },
});
