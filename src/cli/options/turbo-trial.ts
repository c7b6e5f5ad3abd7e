/** A process of its own that tries 256-bit vectors: it ends with 0 where they pass the engine's check. */
import { wasm } from "../../index.ts";

process.exitCode = wasm({ threads: 1, turbo: true }).open().vectorBits === 256 ? 0 : 1;
