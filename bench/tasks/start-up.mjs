/**
 * How long a fresh process takes from importing the built library to the end of the first training step of a small
 * network. Run as `node start-up.mjs FOLDER_OF_THE_LIBRARY`; prints milliseconds, and those since the process began.
 */
import { pathToFileURL } from "node:url";

const begin = performance.now();
const { adam, dense, sequential } = await import(pathToFileURL(`${process.argv[2]}/index.js`).href);
const model = sequential({ input: [4], seed: 1 }, [dense(16, { activation: "relu" }), dense(3)]);
const x = Float32Array.from({ length: 16 * 4 }, (_, i) => Math.sin(i));
const y = Int32Array.from({ length: 16 }, (_, i) => i % 3);
await model.fit({ x, y }, { loss: "crossEntropy", optimizer: adam(), batchSize: 16 });
const end = performance.now();
model.close();
console.log(JSON.stringify({ milliseconds: end - begin, sinceProcessStart: end }));
