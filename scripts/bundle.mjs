// How many bytes a piece of code has with all it imports: bundled for the browser, minified, gzipped.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

export const gzipped = (bytes) => gzipSync(bytes, { level: 9 }).length;

/** @param {string} contents a module @param {URL} folder where its imports are looked up */
export async function bundledSize(contents, folder, external = ["node:*", "jpeg-js"]) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: folder.pathname },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    platform: "browser",
    external,
    logLevel: "error",
  });
  return gzipped(outputFiles[0].contents);
}
