/** Texts as tokens and back, and windows over them. */
import { DataError } from "chainrule";
import { byteTokenizer, characterTokenizer, tokenizerFrom, windows } from "chainrule/data";
import fc from "fast-check";
import { expect, test } from "vitest";

test("characters are numbered in the order of their code points", () => {
  const letters = characterTokenizer("to be or not 🙂");
  expect(letters.size).toBe(8); // space, b, e, n, o, r, t and 🙂
  expect([...letters.encode("bee 🙂")].map((token) => letters.decode([token]))).toEqual(["b", "e", "e", " ", "🙂"]);
  expect(() => letters.encode("bez")).toThrow(/"z" does not occur/);
  expect(() => characterTokenizer("")).toThrow(/not empty/);
});

test("any text comes back, and so does the tokeniser by way of JSON", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (text) => {
      for (const tokenizer of [characterTokenizer(text), byteTokenizer()]) {
        const again = tokenizerFrom(JSON.parse(JSON.stringify(tokenizer)));
        expect(again.decode(tokenizer.encode(text))).toBe(text);
        expect(again.size).toBe(tokenizer.size);
        expect(Math.max(...tokenizer.encode(text))).toBeLessThan(tokenizer.size);
      }
    }),
  );
  expect(() => tokenizerFrom({ kind: "words" })).toThrow(DataError);
});

test("windows are followed by themselves, moved on by one", () => {
  const tokens = Int32Array.from({ length: 10 }, (_, i) => i);
  const { x, y, count } = windows(tokens, { length: 4 });
  expect([count, [...x], [...y]]).toEqual([2, [0, 1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7, 8]]);
  expect(x).toBeInstanceOf(Uint8Array);
  const overlapping = windows(tokens, { length: 4, stride: 2 });
  expect([overlapping.count, [...overlapping.x.subarray(4, 8)]]).toEqual([3, [2, 3, 4, 5]]);
  expect(windows([300, 1, 2], { length: 2 }).x).toEqual(Float32Array.of(300, 1));
  expect(() => windows(tokens, { length: 10 })).toThrow(/do not fit into 10/);
});
