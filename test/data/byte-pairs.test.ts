/** Byte-pair encoding: every text comes back; joins and tokens equal those of Hugging Face's library (test/fixtures/tokenizers.mjs). */
import { PlatformError, RandomStream } from "chainrule";
import { bytePairTokenizer, tokenizerFrom } from "chainrule/data";
import { describe, expect, test } from "vitest";
import { fixture } from "../support/fixtures.ts";

interface Fixture {
  readonly text: string;
  readonly merges: [string, string][];
  readonly tokenizerJson: Record<string, unknown>;
  readonly texts: string[];
  readonly tokens: number[][];
}

const { text, merges, tokenizerJson, texts, tokens } = fixture<Fixture>("tokenizers");

/** Texts of all kinds of characters, whole and half ones of two units. */
function anyText(random: RandomStream): string {
  const kinds = [
    () => String.fromCodePoint(32 + random.integer(95)),
    () => [" ", "\n", "\t", "\r\n", "\u0085", "\ufeff", "\u2003", "'s"][random.integer(8)],
    () => String.fromCodePoint(0xa0 + random.integer(0x2000)),
    () => String.fromCodePoint(0x4e00 + random.integer(500)),
    () => String.fromCodePoint(0x1f300 + random.integer(600)),
    () => String(random.integer(100_000)),
  ];
  return Array.from({ length: random.integer(60) }, () => kinds[random.integer(kinds.length)]()).join("");
}

// biome-ignore lint/suspicious/noExplicitAny: whatever a file may hold.
type Changeable = Record<string, any>;

describe("learnt here", () => {
  test("the joins are those of Hugging Face's library, in their order", () => {
    const learnt = bytePairTokenizer(text, { vocabulary: 256 + merges.length, least: 1 });
    const { model } = learnt.toJSON() as { model: { merges: unknown } };
    expect(model.merges).toEqual(merges);
    expect(learnt.size).toBe(256 + merges.length);
  });

  test("any text comes back to the byte", () => {
    const learnt = bytePairTokenizer(text, { vocabulary: 400 });
    const random = new RandomStream(3, "texts");
    for (let i = 0; i < 300; i++) {
      const one = anyText(random);
      expect(learnt.decode(learnt.encode(one))).toBe(one);
    }
    expect(learnt.decode(learnt.encode(text))).toBe(text);
  });

  test("by hand: in aaab aaab aa the pair a a is joined first, then aa a, then the rest", () => {
    // Words: "aaab", " aaab", " aa". aa: 2 + 2 + 1 = 5 with overlaps; joined from the left, aaab is aa a b.
    const learnt = bytePairTokenizer("aaab aaab aa", { vocabulary: 258 });
    const { model } = learnt.toJSON() as { model: { merges: unknown } };
    expect(model.merges).toEqual([
      ["a", "a"],
      ["a", "b"],
    ]);
    expect([...learnt.encode("aaab")]).toEqual([256, 257]);
  });

  test("fewer tokens than bytes of its text; what does not occur twice is not joined", () => {
    const learnt = bytePairTokenizer(text);
    expect(learnt.encode(text).length).toBeLessThan(new TextEncoder().encode(text).length / 2);
    expect(bytePairTokenizer("abc", { vocabulary: 300 }).size).toBe(256);
    expect(bytePairTokenizer("abc", { vocabulary: 300, least: 1 }).size).toBe(258);
  });

  test("plain data makes it again", () => {
    const learnt = bytePairTokenizer(text, { vocabulary: 300 });
    const again = tokenizerFrom(JSON.parse(JSON.stringify(learnt.toJSON())));
    expect([...again.encode(texts[1])]).toEqual([...learnt.encode(texts[1])]);
  });

  test("a long word takes no time that grows with its square", () => {
    const learnt = bytePairTokenizer("ab".repeat(20), { vocabulary: 262, least: 1 });
    const long = "ab".repeat(50_000);
    expect(learnt.decode(learnt.encode(long))).toBe(long);
  });

  test.each<[string, () => unknown, RegExp]>([
    [
      "fewer tokens than bytes",
      () => bytePairTokenizer("abc", { vocabulary: 255 }),
      /vocabulary must be a whole number/,
    ],
    ["no text", () => bytePairTokenizer(""), /a text that is not empty/],
    [
      "an option that there is not",
      () => bytePairTokenizer("abc", { vocabularies: 300 } as object),
      /Did you mean "vocabulary"/,
    ],
  ])("refused: %s", (_, act, message) => {
    expect(act).toThrow(message);
  });
});

describe("tokenizer.json", () => {
  test.each(texts.map((one, i) => [JSON.stringify(one).slice(0, 40), i]))("%s has the same tokens", (_, i) => {
    const read = tokenizerFrom(tokenizerJson);
    expect([...read.encode(texts[i as number])]).toEqual(tokens[i as number]);
    // Normalised, it comes back in composed form; a space that belongs to a token of its own goes with it.
    const back = texts[i as number].normalize("NFC").replace("</s> ", "</s>");
    expect(read.decode(tokens[i as number])).toBe(back);
  });

  test.each<[string, (json: Changeable) => void, RegExp]>([
    [
      "another model",
      (json) => {
        json.model.type = "Unigram";
      },
      /its model is "Unigram"/,
    ],
    [
      "bytes as tokens of their own",
      (json) => {
        json.model.byte_fallback = true;
      },
      /has byte_fallback/,
    ],
    [
      "another cut",
      (json) => {
        json.pre_tokenizer = { type: "Metaspace" };
      },
      /cut by "Metaspace"/,
    ],
    [
      "no bytes",
      (json) => {
        json.pre_tokenizer = { type: "Digits" };
      },
      /does not work on bytes/,
    ],
    [
      "another normaliser",
      (json) => {
        json.normalizer = { type: "Lowercase" };
      },
      /its normalizer is "Lowercase"/,
    ],
    [
      "a byte without a token",
      (json) => {
        delete json.model.vocab.a;
        json.model.merges = [];
      },
      /no token for the byte 97/,
    ],
  ])("not taken, and said: %s", (_, change, message) => {
    const json = structuredClone(tokenizerJson);
    change(json);
    expect(() => tokenizerFrom(json)).toThrow(PlatformError);
    expect(() => tokenizerFrom(json)).toThrow(message);
  });

  test.each<[string, (json: Changeable) => void, RegExp]>([
    [
      "merges of what is no token",
      (json) => {
        json.model.merges[3] = ["zz", "y"];
      },
      /its merge 4, \["zz", "y"\], joins/,
    ],
    [
      "no merges",
      (json) => {
        delete json.model.merges;
      },
      /no vocab or no merges/,
    ],
    [
      "a number that is none",
      (json) => {
        json.model.vocab.b = "7";
      },
      /its token "b" has the number "7"/,
    ],
    [
      "a number far too high",
      (json) => {
        json.model.vocab.b = 1e9;
      },
      /highest token number, 1000000000, is too high/,
    ],
    [
      "an added token without a text",
      (json) => {
        json.added_tokens[0].content = "";
      },
      /added tokens lack/,
    ],
    [
      "another file",
      (json) => {
        delete json.model;
      },
      /tokenizer\.json, was wanted/,
    ],
  ])("damaged, and said: %s", (_, change, message) => {
    const json = structuredClone(tokenizerJson);
    change(json);
    expect(() => tokenizerFrom(json)).toThrow(message);
  });
});
