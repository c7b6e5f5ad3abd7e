// How many bytes a page loads for a piece of code with all it imports: bundled and minified as Vite 8 does it, gzipped.
// What is imported only when it is used (dynamically) is not counted: of chainrule that is access to Node's files.
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";

export const gzipped = (bytes) => gzipSync(bytes, { level: 9 }).length;

/** @param {string} contents a module @param {URL} folder where its imports are looked up */
export async function bundledSize(contents, folder) {
  const entry = new URL("bundled-size.js", folder).pathname;
  const bundle = await rolldown({
    input: entry,
    platform: "browser",
    external: [/^node:/, "jpeg-js"],
    logLevel: "silent",
    plugins: [
      { name: "entry", resolveId: (id) => (id === entry ? id : null), load: (id) => (id === entry ? contents : null) },
    ],
  });
  const { output } = await bundle.generate({ format: "esm", minify: true });
  const chunks = new Map(output.map((chunk) => [chunk.fileName, chunk]));
  const loaded = new Set(output.filter(({ isEntry }) => isEntry).map(({ fileName }) => fileName));
  // A set that is iterated gives what is added on the way, too.
  for (const name of loaded) for (const needed of chunks.get(name)?.imports ?? []) loaded.add(needed);
  return [...loaded].reduce((bytes, name) => bytes + (chunks.has(name) ? gzipped(chunks.get(name).code) : 0), 0);
}
