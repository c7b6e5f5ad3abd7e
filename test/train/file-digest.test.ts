/** Model files and checkpoints that are not what was written: noticed, said, and gone on from the one before. */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 as zlibCrc32 } from "node:zlib";
import { dense, fromBytes, RandomStream, sequential, type Warning } from "chainrule";
import { encodeSafetensors } from "chainrule/data";
import { expect, test, vi } from "vitest";
import { crc32 } from "../../src/data/crc32.ts";

const model = () => sequential({ input: [3], seed: 1 }, [dense(4, { activation: "relu" }), dense(2)]);
const data = { x: [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]], y: [0, 1, 1, 0] }; // biome-ignore format: one line
const damaged = expect.objectContaining({ name: "DataError", code: "damaged-file" });

test("the check sum is zlib's, in one piece or in two, with Node's own and without", () => {
  const stream = new RandomStream(1, "bytes");
  const bytes = Uint8Array.from({ length: 1000 }, () => stream.integer(256));
  const [a, b] = [bytes.subarray(0, 300), bytes.subarray(300)];
  const check = () => expect([crc32(bytes), crc32(b, crc32(a))]).toEqual([zlibCrc32(bytes), zlibCrc32(bytes)]);
  check();
  const hidden = vi.spyOn(process, "getBuiltinModule").mockReturnValue(undefined as never);
  check();
  expect(hidden).toHaveBeenCalled();
  hidden.mockRestore();
});

test("every flip of one bit is noticed, wherever it is", () => {
  const bytes = model().toBytes();
  expect(fromBytes(bytes).weight("dense_1.bias")).toHaveLength(4);
  const stream = new RandomStream(2, "flips");
  const flips = Number(process.env.CHAINRULE_FLIPS ?? 1000);
  for (let i = 0; i < flips; i++) {
    const bit = stream.integer(bytes.length * 8);
    const changed = bytes.slice();
    changed[bit >> 3] ^= 1 << (bit & 7);
    expect(() => fromBytes(changed), `bit ${bit}`).toThrow(expect.objectContaining({ name: "DataError" }));
  }
  // Among the weights nothing but the check sum could tell.
  const changed = bytes.slice();
  changed[bytes.length - 2] ^= 1;
  expect(() => fromBytes(changed, { file: "m.safetensors" })).toThrow(damaged);
  expect(() => fromBytes(changed, { file: "m.safetensors" })).toThrow(/^m\.safetensors: the file is damaged/);
});

/** A file as earlier versions wrote it. */
function unsealed(architecture: object, tensors: Parameters<typeof encodeSafetensors>[0]): Uint8Array {
  return encodeSafetensors(tensors, {
    chainrule: JSON.stringify({ format: 1, input: [2], seed: 0, details: {}, ...architecture }),
  });
}

test("a file without a check sum loads, unless it had one", () => {
  const layers = [{ kind: "dense", config: { units: 1 } }];
  const tensors = {
    "dense_1.kernel": { shape: [2, 1], data: Float32Array.of(1, 2) },
    "dense_1.bias": { shape: [1], data: Float32Array.of(3) },
  };
  expect(fromBytes(unsealed({ layers }, tensors)).weight("dense_1.kernel")).toEqual(Float32Array.of(1, 2));
  expect(() => fromBytes(unsealed({ layers, sealed: true }, tensors))).toThrow(damaged);
});

test("a network larger than its file is refused before there is memory for it, and details bring no prototype", () => {
  const layers = [{ kind: "dense", config: { units: 3e8 } }];
  const tensors = { "dense_1.kernel": { shape: [2, 1], data: Float32Array.of(1, 2) } };
  expect(() => fromBytes(unsealed({ layers }, tensors))).toThrow(/"dense_1.kernel" should have shape \[2, 300000000\]/);
  const one = {
    layers: [{ kind: "dense", config: { units: 1, bias: false } }],
    details: JSON.parse('{"__proto__": {"loss": "hinge"}, "own": 1}'),
  };
  const { details } = fromBytes(unsealed(one, tensors));
  expect([details.loss, details.own, Object.getPrototypeOf(details) === Object.prototype]).toEqual([
    undefined,
    1,
    true,
  ]);
});

test("a damaged checkpoint: the run goes on from the one before, aloud, and ends as a run that was never stopped", async () => {
  const directory = mkdtempSync(join(tmpdir(), "chainrule-digest-"));
  const path = join(directory, "c.safetensors");
  const options = { loss: "crossEntropy", batchSize: 2, onWarning: false } as const;
  const whole = model();
  await whole.fit(data, { ...options, epochs: 6 });
  await model().fit(data, { ...options, epochs: 2, checkpoint: { path } });
  await model().fit(data, { ...options, epochs: 3, resume: path, checkpoint: { path } });
  expect(existsSync(`${path}.previous`)).toBe(true);
  const bytes = readFileSync(path);
  bytes[bytes.length - 1] ^= 4;
  writeFileSync(path, bytes);
  const warnings: Warning[] = [];
  const again = model();
  const onWarning = (warning: Warning) => void warnings.push(warning);
  const history = await again.fit(data, { ...options, epochs: 6, resume: path, onWarning });
  expect(history[0].epoch).toBe(3);
  expect(warnings.map(({ kind }) => kind)).toContain("damagedCheckpoint");
  expect(again.weight("dense_2.kernel")).toEqual(whole.weight("dense_2.kernel"));
  writeFileSync(`${path}.previous`, bytes);
  await expect(model().fit(data, { ...options, epochs: 6, resume: path })).rejects.toThrow(damaged);
});
