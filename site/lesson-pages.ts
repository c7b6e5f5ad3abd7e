/** The lessons as pages to read: their words with the engine's own numbers, each answer folded away until it is wanted. */
import { readdirSync, readFileSync } from "node:fs";
import { digitsFile } from "../studio/digits.ts";
import { Lab } from "../studio/src/lab/lab.ts";
import { readLesson } from "../studio/src/lessons/lesson.ts";
import { walkLesson } from "../studio/src/lessons/walk.ts";
import { short } from "../studio/src/parts/numbers.ts";
import { openInStudio } from "./pages.ts";
import { SITE } from "./studio-link.ts";

/** Every page: its path and its text. */
export async function lessonPages(root: URL): Promise<[path: string, text: string][]> {
  // The page's own host has the digits; here they come from the same package.
  Object.assign(globalThis, {
    self: globalThis,
    location: { href: "http://127.0.0.1/assets/worker.js" },
    fetch: async () => new Response(digitsFile()),
  });
  const folder = new URL("studio/lessons/", root);
  const names = readdirSync(folder)
    .filter((name) => name.endsWith(".md"))
    .sort();
  const pages: [string, string][] = [];
  const list: string[] = [];
  for (const name of names) {
    const lesson = readLesson(readFileSync(new URL(name, folder), "utf8"));
    const { title, summary, minutes } = lesson;
    const link = `${SITE}studio/?lesson=${name.replace(/\.md$/, "")}`;
    list.push(`1. [${title}](./${name}): ${minutes} minutes. ${summary}`);
    const parts = [`# ${title}`, summary, openInStudio(link)];
    const lab = new Lab();
    for await (const { step, numbers } of walkLesson(lab, lesson)) {
      const told = (words: string): string =>
        words.replace(/\{([^}]+)\}/g, (_, quantity: string) => short(numbers.get(quantity) ?? Number.NaN));
      parts.push(`## ${step.title}`, ...step.paragraphs.map(told));
      const { question } = step;
      if (question)
        parts.push(
          `<details class="lesson-question"><summary>${told(question.text)}</summary>\n\n**${short(numbers.get(question.quantity)!)}.** ${told(question.after)}\n\n</details>`,
        );
    }
    await lab.close();
    pages.push([`lessons/${name}`, `${parts.join("\n\n")}\n`]);
  }
  const index = `# Lessons

Each is a run of the studio: it does what the words say, asks for a number before it shows it, and takes the answer from the
engine. Here they can be read; in the studio they are done.

${list.join("\n")}
`;
  return [...pages, ["lessons/index.md", index]];
}
