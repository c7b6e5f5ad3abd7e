/** Files that people drop: what is meant is read, and what is dropped by mistake gets a clear word. */
import { gzipSync } from "node:zlib";
import { dense, sequential } from "chainrule";
import { encodeNpy } from "chainrule/data";
import { strToU8, zipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { openFiles } from "../../studio/src/lab/files.ts";
import { png } from "../cli/command.ts";

const bytes = (text: string): Uint8Array => strToU8(text);
const open = (name: string, content: Uint8Array | string) =>
  openFiles([{ name, bytes: typeof content === "string" ? bytes(content) : content }]);

const picture = (value: number): Uint8Array => png(new Uint8Array(16).fill(value), 4, 4);
const CSV = "size,colour,ripe\n3,red,yes\n1,green,no\n2,red,yes\n4,green,no\n";
const ROWS = [
  { size: 3, ripe: "yes" },
  { size: 1, ripe: "no" },
  { size: 2, ripe: "yes" },
  { size: 5, ripe: "no" },
];

describe("what is meant is read", () => {
  test.each([
    ["a CSV", "fruit.csv", CSV],
    ["a CSV with semicolons", "fruit.csv", CSV.replaceAll(",", ";")],
    ["a compressed CSV", "fruit.csv.gz", new Uint8Array(gzipSync(CSV))],
    ["a CSV in UTF-16", "fruit.csv", new Uint8Array(Buffer.from(`\ufeff${CSV}`, "utf16le"))],
    ["a CSV in a zip", "fruit.zip", zipSync({ "fruit.csv": bytes(CSV) })],
    ["JSON", "fruit.json", JSON.stringify(ROWS)],
    ["JSON line by line", "fruit.jsonl", ROWS.map((row) => JSON.stringify(row)).join("\n")],
    ["a CSV with missing values", "fruit.csv", `${CSV},red,yes\n`],
  ])("%s", async (_, name, content) => {
    const file = await open(name, content);
    expect(file.table!.target).toBe("ripe");
    const data = await file.dataset({});
    expect(data.classes).toEqual(["no", "yes"]);
    expect(data.count).toBeGreaterThanOrEqual(4);
  });

  test("a table without a line of names, and its last column", async () => {
    const file = await open("numbers.csv", "1,2,0\n3,4,1\n5,6,0\n7,8,1\n");
    expect(file.table!.header).toEqual(["1", "2", "3"]);
    expect((await file.dataset({})).count).toBe(4);
  });

  test("what a column was taken for can be said otherwise", async () => {
    const file = await open("fruit.csv", CSV);
    const other = await file.dataset({ target: "size", ignore: ["ripe"], columns: { colour: "categorical" } });
    expect(other.features).toEqual(["colour=green", "colour=red"]);
    expect(other.task).toBe("regression");
  });

  test("arrays in an .npz", async () => {
    const x = encodeNpy({ shape: [4, 2], data: Float32Array.of(0, 0, 0, 1, 1, 0, 1, 1) });
    const y = encodeNpy({ shape: [4], data: Int32Array.of(0, 1, 1, 0) });
    const data = await (await open("xor.npz", zipSync({ "x.npy": x, "y.npy": y }))).dataset({});
    expect([data.count, data.inputShape]).toEqual([4, [2]]);
  });

  test("class folders of pictures, zipped or dropped", async () => {
    const files = {
      "dark/a.png": picture(10),
      "dark/b.png": picture(30),
      "light/a.png": picture(200),
      "light/b.png": picture(240),
    };
    const zipped = await (
      await open("shades.zip", zipSync({ ...files, "__MACOSX/dark/a.png": picture(0), "light/.DS_Store": bytes("x") }))
    ).dataset({});
    const dropped = await (
      await openFiles(Object.entries(files).map(([name, content]) => ({ name: `shades/${name}`, bytes: content })))
    ).dataset({});
    for (const data of [zipped, dropped]) {
      expect(data.classes).toEqual(["dark", "light"]);
      expect(data.inputShape).toEqual([4, 4, 1]);
      expect([...data.y]).toEqual([0, 0, 1, 1]);
      expect(data.x[0]).toBe(10);
    }
  });
});

const model = sequential({ input: [2] }, [dense(1)]);
const many = (count: number): Uint8Array => new Uint8Array(count);

/** Dropped by mistake, each with what must be in the word that one gets. */
const MISTAKES: readonly (readonly [string, string, Uint8Array | string, RegExp])[] = [
  ["a PDF", "report.pdf", "%PDF-1.7\n…", /report\.pdf is a PDF document\. Wanted is a table.*Save its table as CSV/],
  ["a web page", "data.csv", "<!DOCTYPE html><html><body>Not found</body></html>", /is a web page/],
  ["a drawing", "plot.svg", "<svg xmlns='…'></svg>", /is an XML document/],
  ["an empty file", "empty.csv", "", /empty\.csv is empty/],
  ["a header without rows", "header.csv", "a,b,target\n", /has a header but no rows/],
  ["one column", "list.csv", "price\n1\n2\n", /has only one column, "price"/],
  ["300 MB", "huge.csv", many(300 * 2 ** 20), /has 300 MB, more than a page can hold/],
  [
    "an Excel sheet",
    "book.xlsx",
    zipSync({ "xl/workbook.xml": bytes("<x/>") }),
    /is an office document.*Save the sheet as CSV/,
  ],
  ["an old Excel sheet", "book.xls", Uint8Array.of(0xd0, 0xcf, 0x11, 0xe0, 0xa1), /old Excel or Word document/],
  [
    "a zip of zips",
    "all.zip",
    zipSync({ "a.zip": zipSync({ "b.csv": bytes(CSV) }) }),
    /zip file without pictures or a table/,
  ],
  ["an empty zip", "none.zip", zipSync({}), /zip file without pictures or a table/],
  ["a damaged zip", "cut.zip", zipSync({ "a.csv": bytes(CSV) }).subarray(0, 40), /zip file, but damaged/],
  ["a damaged .gz", "cut.csv.gz", new Uint8Array(gzipSync(CSV)).subarray(0, 20), /compressed, but damaged/],
  ["one picture", "cat.png", picture(3), /is one picture.*one folder of pictures for each class/],
  ["pictures of one class", "cats.zip", zipSync({ "cat/a.png": picture(1) }), /pictures of one class only, "cat"/],
  [
    "a damaged picture",
    "pets.zip",
    zipSync({ "cat/a.png": picture(1), "dog/a.png": picture(1).subarray(0, 30) }),
    /dog\/a\.png/,
  ],
  [
    "a model of PyTorch",
    "net.pt",
    zipSync({ "archive/data.pkl": bytes("x") }),
    /without pictures or a table|another program/,
  ],
  ["a model in HDF5", "net.h5", Uint8Array.of(0x89, 0x48, 0x44, 0x46, 0x0d), /is an HDF5 file/],
  ["an ONNX model", "net.onnx", Uint8Array.of(8, 7, 18, 7, 112), /is an ONNX model/],
  [
    "a model of this library",
    "net.safetensors",
    model.toBytes(),
    /is a model.*Drop the data that it should learn together with it/,
  ],
  ["a Parquet file", "rows.parquet", "PAR1…", /Parquet file.*the command does/],
  ["a single array", "x.npy", encodeNpy({ shape: [1], data: Float32Array.of(1) }), /single NumPy array.*savez/],
  ["a film", "cat.mp4", Uint8Array.of(0, 0, 0, 24, 102), /sound or film/],
  ["a program", "setup.exe", "MZ…", /is a program/],
  ["any bytes", "data.bin", Uint8Array.of(1, 0, 2, 0, 3), /is no text/],
  ["JSON that is none", "rows.json", '[{"a": 1,]', /is no JSON/],
  ["JSON of another form", "rows.json", '{"a": [1, 2]}', /holds no list\. Wanted is a list of objects/],
  ["words among numbers", "bad.csv", "a,b\n1,2\n2,x\n3,4\n4,5\n5,6\n", /b.*x|x.*b/],
  ["rows of different length", "ragged.csv", "a,b\n1,2\n3\n", /row 3/],
];

describe(`${MISTAKES.length} files that were dropped by mistake`, () => {
  test.each(MISTAKES)("%s", async (_, name, content, word) => {
    const error = await open(name, content)
      .then((file) => file.dataset({}))
      .catch((thrown: Error) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect((error as Error).name).toBe("DataError");
    expect((error as Error).message).toMatch(word);
  });
});
