/** `chainrule cache DIRECTORY`: what the rows that streams keep as numbers take there, and removing them. */
import type { Command } from "commander";
import { cacheSize, clearCache } from "../../data/node.ts";
import { fileSize, quote } from "../terminal/text.ts";

export function register(program: Command): void {
  program
    .command("cache")
    .summary("say what kept rows take, or remove them")
    .description(
      "Says what the rows that --cache has kept in a directory take there, or removes them and nothing else.",
    )
    .argument("<directory>", "the directory given to --cache")
    .option("--remove", "remove them")
    .action(async (directory: string, { remove }: { remove?: boolean }) => {
      const text = remove
        ? `${fileSize(await clearCache(directory))} freed in ${directory}.`
        : `The rows kept in ${directory} take ${fileSize(await cacheSize(directory))}. To remove them: chainrule cache ${quote(directory)} --remove`;
      process.stdout.write(`${text}\n`);
    });
}
