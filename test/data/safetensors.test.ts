/** safetensors: bytes written by NumPy (../fixtures/data/make.py) are read, and every kind of damage is named. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { ShapedArray } from "../../src/data/arrays.ts";
import { decodeSafetensors, encodeSafetensors } from "../../src/data/safetensors.ts";
import { ArgumentError, DataError } from "../../src/errors.ts";

const fixture = (name: string) => new Uint8Array(readFileSync(new URL(`../fixtures/data/${name}`, import.meta.url)));

/** A file with this header text and this many bytes of elements. */
function withHeader(header: string, bytes = 0): Uint8Array {
  const text = new TextEncoder().encode(header);
  const out = new Uint8Array(8 + text.length + bytes);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  return out;
}

test("a file written by NumPy is read, every type", () => {
  const { tensors, metadata } = decodeSafetensors(fixture("all-types.safetensors"));
  expect(metadata).toEqual({ made: "by NumPy" });
  const plain = Object.fromEntries(
    [...tensors].map(([name, { shape, data, dtype }]) => [name, [dtype, shape, [...data]]]),
  );
  expect(plain).toEqual({
    f64: ["F64", [2], [Math.PI, -0]],
    f32: ["F32", [2, 2], [0.5, -1.5, 2, 3]],
    f16: ["F16", [5], [1.5, -2, 65504, 2 ** -24, Number.POSITIVE_INFINITY]],
    i64: ["I64", [1], [-(2n ** 53n) - 1n]],
    i32: ["I32", [2], [-1, 2147483647]],
    i16: ["I16", [1], [-300]],
    i8: ["I8", [2], [-128, 127]],
    u8: ["U8", [3], [0, 128, 255]],
    bool: ["BOOL", [2], [1, 0]],
    scalar: ["F32", [], [7]],
    empty: ["F32", [0, 3], []],
  });
});

test("what is written equals, byte for byte, what NumPy wrote in the same layout", () => {
  const bytes = encodeSafetensors(
    { b: { shape: [3], data: new Uint8Array([1, 2, 3]) }, a: { shape: [1, 2], data: new Float32Array([0.5, -2]) } },
    { seed: "7", format: "x" },
  );
  expect(bytes).toEqual(fixture("written.safetensors"));
});

test("the same content gives the same bytes in any order, and the elements are aligned", () => {
  const a: ShapedArray = { shape: [1], data: new Float64Array([1]) };
  const b: ShapedArray = { shape: [3], data: new Uint8Array([1, 2, 3]) };
  const one = encodeSafetensors({ a, b }, { x: "1", y: "2" });
  expect(one).toEqual(encodeSafetensors(new Map([["b", b], ["a", a]]), { y: "2", x: "1" })); // biome-ignore format: one line
  expect(Number(new DataView(one.buffer).getBigUint64(0, true)) % 8).toBe(0);
});

test("names and metadata like __proto__ are only names", () => {
  const tensors = new Map([["__proto__", { shape: [1], data: new Float32Array([1]) }]]);
  const metadata = JSON.parse('{"__proto__": "x", "constructor": "y"}');
  const file = decodeSafetensors(encodeSafetensors(tensors, metadata));
  expect(file.tensors.get("__proto__")?.data[0]).toBe(1);
  expect(Object.getPrototypeOf(file.metadata)).toBe(Object.prototype);
  expect(Object.entries(file.metadata)).toEqual([["__proto__", "x"], ["constructor", "y"]]); // biome-ignore format: one line
  expect({}).not.toHaveProperty("x");
  // A header whose entry hides its fields in a prototype has no fields.
  const hidden = '{"w":{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}}';
  expect(() => decodeSafetensors(withHeader(hidden, 1))).toThrow(/dtype undefined/);
});

const entry = (dtype: string, shape: string, from: number, to: number) =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":[${from},${to}]}`;

test.each([
  ["empty", new Uint8Array(), /has 0 bytes/],
  ["huge header", new Uint8Array([255, 255, 255, 255, 255, 255, 255, 127]), /more than the 100000000 allowed/],
  ["header beyond the file", new Uint8Array([9, 0, 0, 0, 0, 0, 0, 0, 123, 125]), /only 2 follow/],
  ["not JSON", withHeader("{]"), /not JSON/],
  ["not UTF-8", withHeader("{}").map((byte, i) => (i === 9 ? 0xff : byte)), /not JSON/],
  ["an array", withHeader("[]"), /not an object/],
  ["bad metadata", withHeader('{"__metadata__":{"a":1}}'), /metadata "a" that is 1/],
  ["unknown dtype", withHeader(`{"w":${entry("F8", "[1]", 0, 1)}}`, 1), /dtype "F8"/],
  ["negative shape", withHeader(`{"w":${entry("U8", "[-1]", 0, 1)}}`, 1), /shape \[-1\]/],
  ["huge shape", withHeader(`{"w":${entry("U8", "[4294967296,4294967296]", 0, 1)}}`, 1), /shape \[4294967296, /],
  [
    "shape and bytes disagree",
    withHeader(`{"w":${entry("F32", "[2]", 0, 4)}}`, 4),
    /at \[0, 4\], but shape \[2\] of F32 takes 8 bytes/,
  ],
  ["reversed offsets", withHeader(`{"w":${entry("U8", "[1]", 1, 0)}}`, 1), /at \[1, 0\], but .* takes 1 bytes/],
  ["beyond the end", withHeader(`{"w":${entry("U8", "[2]", 0, 2)}}`, 1), /1 bytes of elements, but its tensors take 2/],
  [
    "overlap",
    withHeader(`{"a":${entry("U8", "[2]", 0, 2)},"b":${entry("U8", "[2]", 1, 3)}}`, 3),
    /"b" at byte 1, not 2, so that tensors overlap/,
  ],
  ["a hole", withHeader(`{"a":${entry("U8", "[1]", 1, 2)}}`, 2), /"a" at byte 1, not 0, .*belong to none/],
  ["offsets as text", withHeader('{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,"1"]}}', 1), /its tensors take 1/],
  ["bytes left over", withHeader("{}", 2), /2 bytes of elements, but its tensors take 0/],
])("%s", (_, bytes, message) => {
  expect(() => decodeSafetensors(bytes, "m.safetensors")).toThrow(message);
  try {
    decodeSafetensors(bytes, "m.safetensors");
  } catch (error) {
    expect(error).toBeInstanceOf(DataError);
    expect((error as DataError).at.file).toBe("m.safetensors");
  }
});

test("what cannot be written is an ArgumentError", () => {
  expect(() => encodeSafetensors({ w: { shape: [3], data: new Float32Array(2) } })).toThrow(ArgumentError);
  expect(() => encodeSafetensors({ __metadata__: { shape: [2], data: new Float32Array(2) } })).toThrow(
    /keeps that name/,
  );
});
