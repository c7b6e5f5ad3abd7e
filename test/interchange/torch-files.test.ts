/**
 * Files of PyTorch's: all types and layouts of tensors, state dicts in checkpoints, and what is refused. The files were written by
 * PyTorch 1.13 (test/fixtures/torch/make.py); hostile ones are put together here as well, byte by byte.
 */
import { readFileSync } from "node:fs";
import { DataError } from "chainrule";
import { encodeSafetensors } from "chainrule/data";
import { readTorch } from "chainrule/interchange";
import { describe, expect, test } from "vitest";
import { pickled, savedPickle, torchZip } from "../support/torch-file.ts";

const file = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../fixtures/torch/${name}`, import.meta.url)));

type Described = Record<string, { dtype: string; shape: number[]; data: (number | boolean | string)[] }>;
const expected = JSON.parse(new TextDecoder().decode(file("expected.json"))) as Record<"types" | "state", Described>;

/** PyTorch's names of types as safetensors has them. */
const dtypeOf = (name: string): string =>
  name === "bool"
    ? "BOOL"
    : name.replace(/^(bfloat|float|uint|int)/, (kind) => ({ bfloat: "BF", float: "F", uint: "U", int: "I" })[kind]!);

/** Elements as JSON has them: infinities are texts. */
const numberOf = (x: number | boolean | string): number =>
  typeof x === "string" ? Number(x.replace("inf", "Infinity")) : Number(x);

const asRead = (described: Described) =>
  Object.fromEntries(
    Object.entries(described).map(([name, { dtype, shape, data }]) => [
      name,
      { dtype: dtypeOf(dtype), shape, data: data.map(numberOf) },
    ]),
  );

const read = async (bytes: Uint8Array, options = {}) => {
  const weights = await readTorch(bytes, options);
  const tensors = [...weights.tensors].map(
    ([name, { dtype, shape, data }]) => [name, { dtype, shape, data: Array.from(data, Number) }] as const,
  );
  return { ...weights, tensors: Object.fromEntries(tensors) };
};

test.each(["types.pt", "types-legacy.pt", "types-protocol-4.pt", "types-deflated.pt"])(
  "%s: every type, strides, shared storages",
  async (name) => {
    const { tensors, format, at, others } = await read(file(name));
    expect(tensors).toEqual(asRead(expected.types));
    expect([format, at, others]).toEqual(["PyTorch", "", []]);
  },
);

test("tied tensors are one array", async () => {
  const { tensors } = await readTorch(file("types.pt"));
  expect(tensors.get("tied")).toBe(tensors.get("shared"));
});

test("a state dict alone, and in a checkpoint beside an optimiser", async () => {
  expect(await read(file("state.pt"))).toMatchObject({ tensors: asRead(expected.state), at: "" });
  expect(await read(file("checkpoint.pt"))).toMatchObject({
    tensors: asRead(expected.state),
    at: "model",
    others: ["epoch: 3", "best", "optimizer", 'name: "net"'],
  });
});

test("two state dicts are told apart by a name", async () => {
  await expect(readTorch(file("two.pt"))).rejects.toThrow(/2 state dicts: "generator", "critic".*at: "generator"/);
  const { tensors } = await read(file("two.pt"), { at: "critic" });
  expect(Object.keys(tensors)).toEqual(["weight", "bias"]);
  await expect(readTorch(file("two.pt"), { at: "critics" })).rejects.toThrow(/Did you mean "critic"/);
});

test("safetensors, and a model in several files", async () => {
  const part = (name: string) =>
    encodeSafetensors({ [name]: { shape: [1], data: new Float32Array([1]) } }, { format: "pt" });
  expect(await readTorch(part("a"))).toMatchObject({ format: "safetensors", others: ['format: "pt"'] });
  const { tensors } = await readTorch([part("a"), part("b"), file("state.pt")]);
  expect([...tensors.keys()]).toEqual(["a", "b", ...Object.keys(expected.state)]);
  await expect(readTorch([part("a"), part("a")])).rejects.toThrow(/"a" stands in two/);
});

describe("is refused, with what to do", () => {
  const cases: [string, Uint8Array, RegExp, string?][] = [
    [
      "a module",
      file("module.pt"),
      /whole module as code: "__main__\.Net".*torch\.save\(model\.state_dict\(\)/,
      "holds-code",
    ],
    ["a module of PyTorch's", file("sequential.pt"), /"torch\.nn\.modules\.container\.Sequential"/, "holds-code"],
    ["a script", file("script.pt"), /TorchScript archive.*torch\.jit\.load/, "holds-code"],
    ["os.system, as Python writes it", file("system.pt"), /it names "posix\.system"/, "holds-code"],
    ["eval", file("eval.pt"), /it names "builtins\.eval"/, "holds-code"],
    ["os.system", savedPickle("cos\nsystem\n(X\u0004\0\0\0echotR."), /it names "os\.system"/, "holds-code"],
    ["a class that is called", savedPickle("(X\u0001\0\0\0aios\nsystem\n."), /it names "os\.system"/, "holds-code"],
    ["a list of tensors", file("list.pt"), /holds a list, where a state dict was wanted/],
    ["numbers alone", savedPickle("}X\u0001\0\0\0aK\u0001s."), /no tensors under names/],
    [
      "a tar file",
      new Uint8Array(1024).fill(0).map((_, i) => "ustar".charCodeAt(i - 257) || 0),
      /tar file.*before version 0\.4/,
    ],
    ["another file", new TextEncoder().encode("weights = [1, 2, 3]"), /neither what torch\.save writes/],
    ["an empty file", new Uint8Array(), /neither what torch\.save writes/],
    ["a ZIP file of something else", torchZip({ "a/b": new Uint8Array(3) }), /without data\.pkl/],
  ];
  test.each(cases)("%s", async (_, bytes, message, code = "bad-data") => {
    const error = await readTorch(bytes, { file: "net.pt" }).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(DataError);
    expect((error as DataError).message).toMatch(/^net\.pt: /);
    expect((error as DataError).message).toMatch(message);
    expect((error as DataError).code).toBe(code);
  });
});

describe("hostile files take little memory and time", () => {
  const refusal = async (bytes: Uint8Array): Promise<string> => {
    const before = process.memoryUsage.rss();
    const error = await readTorch(bytes).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(DataError);
    expect(process.memoryUsage.rss() - before).toBeLessThan(500e6);
    return (error as DataError).message;
  };

  /** A tensor of float32 over storage "0" of 4 elements. */
  const tensor = (shape: number[], strides: number[], { count = 4, offset = 0 } = {}): string => {
    const int = (n: number) => `J${String.fromCharCode(n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >> 24) & 255)}`;
    const tuple = (numbers: number[]) => `(${numbers.map(int).join("")}t`;
    return `ctorch._utils\n_rebuild_tensor_v2\n((U\u0007storagectorch\nFloatStorage\nU\u00010U\u0003cpu${int(count)}tQ${int(offset)}${tuple(shape)}${tuple(strides)}\u0089}tR`;
  };
  const withTensor = (text: string) => savedPickle(`}U\u0001a${text}s.`, { "data/0": new Uint8Array(16) });

  test("a tensor within its storage is read", async () => {
    const { tensors } = await readTorch(withTensor(tensor([2, 2], [1, 2])));
    expect(tensors.get("a")).toMatchObject({ shape: [2, 2], data: new Float32Array(4) });
  });

  test.each([
    ["beyond its storage", tensor([5], [1]), /reaches beyond its storage of 4/],
    ["by its strides", tensor([2, 2], [1, 1000]), /reaches beyond/],
    ["by its offset", tensor([2], [1], { offset: 3 }), /reaches beyond/],
    ["repeated without end", tensor([1 << 30], [0]), /only 4 elements, repeated/],
    ["negative lengths", tensor([-1], [1]), /has the shape \[-1\]/],
    ["lengths that multiply beyond numbers", tensor([1 << 30, 1 << 30, 1 << 30], [0, 0, 0]), /has the shape/],
    ["a storage that is shorter than said", tensor([4], [1], { count: 4000 }), /has 16 bytes, too few for 4000/],
  ])("a tensor %s", async (_, text, message) => {
    expect(await refusal(withTensor(text))).toMatch(message);
  });

  test("the same storage a thousand times", async () => {
    const many = Array.from(
      { length: 1000 },
      (_, i) => `U\u0004${String(i).padStart(4)}${tensor([4, 1], [1, i])}`,
    ).join("");
    expect(await refusal(savedPickle(`}(${many}u.`, { "data/0": new Uint8Array(16) }))).toMatch(/again and again/);
  });

  test("a bomb, as a pickle and as a storage", async () => {
    const zeros = new Uint8Array(1 << 26);
    expect(await refusal(torchZip({ "a/data.pkl": zeros }, true))).toMatch(/would unpack to 67108864 bytes/);
    const sized = torchZip(
      { "a/data.pkl": pickled(`}U\u0001a${tensor([4], [1])}s.`), "a/data/0": zeros },
      true,
      2 ** 31,
    );
    expect(await refusal(sized)).toMatch(/would unpack to 2147483648 bytes/);
    // One whose directory says that it is small.
    const lied = torchZip({ "a/data.pkl": pickled(`}U\u0001a${tensor([4], [1])}s.`), "a/data/0": zeros }, true, 16);
    expect(await refusal(lied)).toMatch(/unpacks to more than 16 bytes/);
  });

  test.each([
    ["marks", "("],
    ["lists", "]"],
    ["dictionaries", "}"],
  ])("millions of %s", async (_, letter) => {
    expect(await refusal(savedPickle(letter.repeat(2 ** 21)))).toMatch(/more than 1048576 lists and dictionaries/);
  });

  test("a dictionary that holds itself, and lists of lists that double", async () => {
    expect(await refusal(savedPickle("}q\0U\u0001ah\0s."))).toMatch(/no tensors under names/);
    const doubled = Array.from({ length: 200 }, () => "2\u0086").join("");
    expect(await refusal(savedPickle(`}U\u0001a]${doubled}s.`))).toMatch(/no tensors under names/);
  });
});
