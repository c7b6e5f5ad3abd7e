/** CSV text to records, records to features: what is inferred, what is refused, and what a schema brings back. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CsvSource, cellRecords, parseCsv } from "../../src/data/csv.ts";
import { statistics } from "../../src/data/dataset.ts";
import { decimalPoints, encodeCsv, readCsv } from "../../src/data/node/table.ts";
import { parseSchema } from "../../src/data/schema.ts";
import { encodeRows, encodeTable, readTable, type TableOptions } from "../../src/data/table.ts";
import { ArgumentError, DataError, FileError } from "../../src/errors.ts";
import { inWords } from "../../src/wording.ts";

async function records(source: CsvSource, delimiter?: string): Promise<[number, ...string[]][]> {
  const all: [number, ...string[]][] = [];
  for await (const batch of parseCsv(source, delimiter === undefined ? {} : { delimiter }))
    for (const { row, fields } of batch) all.push([row, ...fields]);
  return all;
}

test("quotes, line ends, byte order mark, empty lines; rows are lines of the file", async () => {
  const text = '\uFEFFa,b\r\n"x, ""y""","two\nlines"\r\n\n1,\r2,"3"';
  expect(await records(text)).toEqual([
    [1, "a", "b"],
    [2, 'x, "y"', "two\nlines"],
    [5, "1", ""],
    [6, "2", "3"],
  ]);
});

test.each(["a\tb\n1\t2\n", "a;b\n1;2\n", "a|b\n1|2", '"a,b";c\n1;2'])("the delimiter of %j is found", async (text) => {
  expect((await records(text)).map((record) => record.length)).toEqual([3, 3]);
});

test("any table comes back, in pieces cut anywhere", async () => {
  const field = fc.string({ unit: fc.constantFrom("a", "é", "😀", ",", '"', "\n", "\r", " ") });
  const table = fc
    .integer({ min: 2, max: 4 })
    .chain((width) =>
      fc.array(fc.array(field, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 6 }),
    );
  const quote = (text: string) => `"${text.replaceAll('"', '""')}"`;
  await fc.assert(
    fc.asyncProperty(
      table,
      fc.constantFrom("\n", "\r\n", "\r"),
      fc.array(fc.nat(60), { maxLength: 4 }),
      async (rows, end, cuts) => {
        const bytes = new TextEncoder().encode(rows.map((row) => row.map(quote).join(",")).join(end));
        const places = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
        const pieces = places.slice(1).map((to, i) => bytes.subarray(places[i], to));
        expect((await records(pieces, ",")).map(([, ...fields]) => fields)).toEqual(rows);
      },
    ),
    { numRuns: 300 },
  );
});

test("numbers are those that Number gives, to the last bit", async () => {
  const digits = fc.string({ unit: fc.constantFrom(..."0123456789"), maxLength: 18 });
  const written = fc
    .tuple(fc.constantFrom("", "-", "+"), digits, fc.constantFrom("", ".", "e-3"), digits)
    .map((parts) => parts.join(""))
    .filter((text) => /^[+-]?(\d+\.?\d*|\.\d+)(e-3\d*)?$/.test(text) && !/^0\d+$/.test(text));
  await fc.assert(
    fc.asyncProperty(fc.array(written, { minLength: 1, maxLength: 20 }), async (texts) => {
      const cells: unknown[] = [];
      for await (const records of cellRecords(["x,y\n", ...texts.map((text) => `${text},é\n`)], {}, []))
        for (const { row, fields } of records)
          if (row > 1) cells.push(typeof fields[0] === "string" ? Number(fields[0]) : fields[0]);
      expect(cells).toEqual(texts.map(Number));
    }),
    { numRuns: 300 },
  );
  // Halfway cases and the ends of what is read fast; by the definition of Number, which rounds correctly.
  for (const text of ["9007199254740993", "0.1", "123456789012345", "0.000000000000001", "-0", "5.", ".5"]) {
    const { x } = await readTable(new TextEncoder().encode(`x,y\n${text},1.5\n7,2.5\n`), { target: "y" });
    expect(Object.is(x[0], Math.fround(Number(text)))).toBe(true);
  }
});

test("a header of numbers keeps its writing; bytes and text, and pieces cut anywhere, give the same cells", async () => {
  const text = "1.50,é,007\n1.50,ä1,007\n-2,3,x\n";
  const cells = async (source: CsvSource) => {
    const all: unknown[] = [];
    for await (const batch of cellRecords(source, {}, [])) all.push(...batch.map(({ fields }) => fields));
    return all;
  };
  const wanted = [
    ["1.50", "é", "007"],
    [1.5, "ä1", "007"],
    [-2, 3, "x"],
  ];
  const bytes = new TextEncoder().encode(text);
  expect(await cells(text)).toEqual(wanted);
  for (let cut = 0; cut <= bytes.length; cut++)
    expect(await cells([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(wanted);
});

test("many different large numbers are no categories, even where 32 bits would not tell them apart", async () => {
  const rows = Array.from({ length: 300 }, (_, i) => `${1_000_000_000 + i},${i % 2}`);
  const words = Array.from({ length: 301 }, (_, i) => `w,${i % 2}`);
  const text = `x,y\n${[...rows, ...words].join("\n")}\n`;
  await expect(readTable(text, { target: "y" })).rejects.toThrow(/too many different values, more than the 256/);
  const { x, schema } = await readTable(text, { target: "y", columns: { x: "categorical" }, maxCategories: 400 });
  expect([schema.columns[0].kind === "categorical" && schema.columns[0].categories.length, x.length]).toEqual([
    301,
    601 * 301,
  ]);
});

const FLOWERS = `petal,colour,wild,found,species
1.5,red,yes,1970-01-02,rose
2,blue,no,1970-01-01T12:00,iris
-3e-1,red,yes,1969-12-31T23:00:00-01:00,rose
`;

test("numbers, categories, booleans and dates become features", async () => {
  const data = await readTable(FLOWERS, { target: "species" });
  const parts = ["found (hour, sin)", "found (hour, cos)", "found (weekday, sin)", "found (weekday, cos)"];
  expect(data.features).toEqual(["petal", "colour=blue", "colour=red", "wild", "found", ...parts]);
  const rows = [0, 9, 18].map((from) => [...data.x.subarray(from, from + 9)]);
  expect(rows.flatMap((row) => row.slice(0, 5))).toEqual(
    [1.5, 0, 1, 1, 1, 2, 1, 0, 0, 0.5, -0.3, 0, 1, 1, 0].map(Math.fround),
  );
  // Friday 1970-01-02 at 0:00, Thursday at 12:00 and at 0:00; numpy: sin and cos of 2π · 4/7 and 2π · 3/7.
  const [friday, thursday] = [
    [-0.433884, -0.900969],
    [0.433884, -0.900969],
  ];
  const expected = [
    [0, 1, ...friday],
    [0, -1, ...thursday],
    [0, 1, ...thursday],
  ];
  for (const [i, row] of rows.entries())
    for (const [k, value] of expected[i].entries()) expect(row[5 + k]).toBeCloseTo(value, 6);
  expect([data.task, data.classes, [...data.y]]).toEqual(["classification", ["iris", "rose"], [1, 0, 1]]);
  expect([data.count, data.inputShape]).toEqual([3, [9]]);
  const { mean, deviation } = statistics(data);
  expect([mean[1], deviation[1], mean[3], deviation[3]]).toEqual([0, 1, 0, 1]);
  expect(mean[0]).toBeCloseTo(3.2 / 3, 6);
  expect(deviation[0]).toBeCloseTo(0.987702, 6); // numpy.std([1.5, 2, -0.3])
});

test("the schema survives JSON and encodes later rows alike", async () => {
  const data = await readTable(FLOWERS, { target: "species" });
  const schema = parseSchema(JSON.parse(JSON.stringify(data.schema)));
  expect(schema).toEqual(data.schema);
  const again = await encodeTable(schema, FLOWERS);
  expect([again.x, again.y, again.count, again.features]).toEqual([data.x, data.y, 3, data.features]);
  const moved = "wild,extra,petal,found,colour\nno,?,1,1970-01-03,blue\n";
  const fresh = await encodeTable(schema, moved);
  expect([[...fresh.x.subarray(0, 5)], fresh.y]).toEqual([[1, 1, 0, 0, 2], undefined]);
  const row = { petal: 1, colour: "blue", wild: false, found: new Date(2 * 86_400_000) };
  expect(encodeRows(schema, [row])).toEqual(fresh.x);
  await expect(encodeTable(schema, moved, { target: true })).rejects.toThrow(
    /no column "species"; the columns are "wild"/,
  );
  await expect(encodeTable(schema, "petal\n1\n")).rejects.toThrow(/no column "colour"/);
  expect(() => encodeRows(schema, [row, { ...row, colour: "green" }])).toThrow(
    'row 2, column "colour": the category is "green", which the training data did not have; known are "blue", "red"',
  );
  expect(() => encodeRows(schema, [{ ...row, petal: null }])).toThrow(/row 1, column "petal": the value is missing/);
});

const column = (values: (string | number)[]) => `x,y\n${values.map((value, i) => `${i}.5,${value}`).join("\n")}`;
test.each<[string, (string | number)[], Partial<TableOptions>, string[] | undefined]>([
  ["words", ["a", "b", "a"], {}, ["a", "b"]],
  ["booleans, no before yes", ["Yes", "no", "Yes"], {}, ["no", "Yes"]],
  ["booleans in several spellings", ["Yes", "no", "yes", "NO"], {}, ["no", "Yes"]],
  ["few whole numbers", [10, 9, 10, 9], {}, ["9", "10"]],
  ["whole numbers that hardly repeat", [1, 2, 3], {}, undefined],
  ["fractions", [0.5, 1, 0.5, 1], {}, undefined],
  ["whole numbers, by wish", [1, 2, 1, 2], { task: "regression" }, undefined],
  ["fractions, by wish", [0.5, 1], { task: "classification" }, ["0.5", "1"]],
  ["dates", ["2024-01-01", "2024-01-02"], {}, undefined],
])("the task for a target of %s", async (_, values, options, classes) => {
  const data = await readTable(column(values), { target: "y", ...options });
  expect([data.classes, data.task]).toEqual([classes, classes ? "classification" : "regression"]);
});

test("missing values are filled in or left out when asked", async () => {
  const text = "n,c,b,y\n1,a,yes,u\n,b,yes,v\n4,NA,?,u\nnull,b,no,v\n";
  const filled = await readTable(text, { target: "y", missing: "mean" });
  expect([...filled.x]).toEqual([1, 1, 0, 1, 2.5, 0, 1, 1, 4, 0, 1, 1, 2.5, 0, 1, 0]);
  expect([...encodeRows(filled.schema, [{ n: null, c: null, b: undefined }])]).toEqual([2.5, 0, 1, 1]);
  expect(() => encodeRows(filled.schema, [{ n: 1, C: "a", b: true }])).toThrow(
    'row 1, column "c": the row has no "c"; it has "n", "C", "b". Did you mean "C"? Give every column; null says that a value is missing.',
  );
  expect(filled.notes).toEqual([
    'n: 2 missing (empty 1, "null" 1), filled in.',
    'c: 1 missing ("NA" 1), filled in.',
    'b: 1 missing ("?" 1), filled in.',
  ]);
  const dates = await readTable("d,y\n2024-01-01,u\n,v\n2024-01-03,u\n", { target: "y", missing: "mean" });
  expect([0, 1, 2].map((row) => dates.x[row * 3])).toEqual([19723, 19724, 19725]);
  const dropped = await readTable("n,y\n1,u\n,v\n4,\n5,v\n", { target: "y", missing: "drop" });
  expect([[...dropped.x], [...dropped.y]]).toEqual([[1, 5], [0, 1]]); // biome-ignore format: one line
  expect((await encodeTable(dropped.schema, "n,y\n,v\n7,u\n")).count).toBe(1);
  await expect(encodeTable(dropped.schema, 'n\n" "\n7\n')).rejects.toThrow(/row 2, column "n": the value is missing/);
});

const lines = (...rows: string[]) => `${rows.join("\n")}\n`;
test.each<
  [string, string | Uint8Array, Partial<TableOptions>, RegExp, number | undefined, string | number | undefined]
>([
  ["empty file", "", {}, /the file is empty/, undefined, undefined],
  ["header only", "x,y\n", {}, /header but no rows/, undefined, undefined],
  ["ragged row", lines("x,y", "1,a", "2", "3,b"), {}, /there are 1 fields, but 2 names/, 3, undefined],
  [
    "text among numbers",
    lines("x,y", "1,a", "2,b", "abc,b"),
    {},
    /the value is "abc", but the column holds numbers/,
    4,
    "x",
  ],
  [
    "text in a declared column",
    lines("x,y", "1,a", "u,b", "v,b"),
    { columns: { x: "numeric" } },
    /the value is "u"/,
    3,
    "x",
  ],
  ["infinity", lines("x,y", "1,a", "2,b", "inf,b"), {}, /the value is "inf"/, 4, "x"],
  ["too large", lines("x,y", "1,a", "1e39,b"), {}, /too large for a 32-bit float/, 3, "x"],
  ["NaN is missing", lines("x,y", "1,a", "NaN,b"), {}, /the value is missing/, 3, "x"],
  ["missing target", lines("x,y", "1,a", "2,", "3,b"), {}, /the target is missing/, 3, "y"],
  ["no such target", lines("x,z", "1,a"), {}, /no column "y"; the columns are "x", "z"/, undefined, undefined],
  ["one class", lines("x,y", "1,a", "2,a"), {}, /every row has the class "a"/, undefined, "y"],
  [
    "words for regression",
    lines("x,y", "1,a", "2,b"),
    { task: "regression" },
    /holds words such as "a"/,
    undefined,
    "y",
  ],
  [
    "text among target numbers",
    lines("x,y", "1,1", "2,2", "3,2", "4,q"),
    { task: "classification" },
    /the value is "q"/,
    5,
    "y",
  ],
  ["doubled name", lines("x,x,y", "1,2,a"), {}, /this name twice/, 1, "x"],
  ["no name", lines(",y", "1,a"), {}, /gives it no name/, 1, 1],
  ["a column without values", lines("x,w,y", "1,,a", "2,NA,b"), {}, /has no values/, undefined, "w"],
  [
    "too many categories",
    lines("x,y", "p,a", "q,b", "r,a"),
    { maxCategories: 2 },
    /3 different values, more than the 2/,
    undefined,
    "x",
  ],
  ["nothing but the target", lines("y", "a", "b"), {}, /no column but the target/, undefined, undefined],
  ["all rows dropped", lines("x,y", ",a", "1,"), { missing: "drop" }, /so none is left/, undefined, undefined],
  [
    "date that is none",
    lines("x,y", "2024-01-01,a", "2024-02-29,b", "2023-02-29,b"),
    {},
    /but the column holds dates/,
    4,
    "x",
  ],
  ["open quote", lines("x,y", "1,a", '"2,b'), {}, /never closed/, 3, undefined],
  ["text after a quote", lines("x,y", '"1"2,a'), {}, /after a closing quote/, 2, undefined],
  ["not UTF-8", new Uint8Array([120, 44, 121, 10, 0xff, 44, 97, 10]), {}, /not UTF-8/, 1, undefined],
  [
    "a missing quote in a large file",
    `x,y\n"${"1,a\n".repeat(1_100_000)}`,
    {},
    /longer than 4000000 characters|never closed/,
    2,
    undefined,
  ],
])("%s is a DataError that says where", async (_, text, options, message, row, where) => {
  const error = await readTable(text, { target: "y", file: "t.csv", ...options }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(DataError);
  expect((error as DataError).message).toMatch(message);
  expect((error as DataError).at).toEqual({
    file: "t.csv",
    ...(row === undefined ? {} : { row }),
    ...(where === undefined ? {} : { column: where }),
  });
});

test("what is asked wrongly is an ArgumentError or names the columns", async () => {
  await expect(readTable("x,y\n1,a\n", {} as TableOptions)).rejects.toThrow(ArgumentError);
  await expect(readTable("x,y\n1,a\n", { target: "y", ignore: ["q"] })).rejects.toThrow(/no column "q"/);
  await expect(readTable("x,y\n1,a\n", { target: "y", ignore: ["y"] })).rejects.toThrow(/also to be ignored/);
  const { features } = await readTable("id,x,y\nq,1,a\nr,2,b\n", { target: "y", ignore: ["id"] });
  expect(features).toEqual(["x"]);
});

test.each([
  ["null", null],
  ["no columns", { columns: [], target: { name: "y", kind: "numeric" }, missing: "error" }],
  [
    "a kind unknown",
    { columns: [{ name: "x", kind: "code" }], target: { name: "y", kind: "numeric" }, missing: "error" },
  ],
  [
    "a category twice",
    {
      columns: [{ name: "x", kind: "categorical", categories: ["a", "a"] }],
      target: { name: "y", kind: "numeric" },
      missing: "error",
    },
  ],
  [
    "a name twice",
    { columns: [{ name: "y", kind: "numeric" }], target: { name: "y", kind: "numeric" }, missing: "error" },
  ],
  [
    "fields in a prototype",
    JSON.parse('{"__proto__": {"columns": [{"name": "x", "kind": "numeric"}], "missing": "error"}}'),
  ],
  [
    "a target of words without classes",
    { columns: [{ name: "x", kind: "date" }], target: { name: "y", kind: "boolean" }, missing: "error" },
  ],
  [
    "a fill that is no number",
    { columns: [{ name: "x", kind: "date", fill: "1" }], target: { name: "y", kind: "numeric" }, missing: "error" },
  ],
])("a schema with %s is refused", (_, value) => {
  expect(() => parseSchema(value, "m.safetensors")).toThrow(DataError);
});

test("files: streamed, named in messages, FileError when not there", async () => {
  const directory = mkdtempSync(join(tmpdir(), "chainrule-csv-"));
  const path = join(directory, "big.csv");
  writeFileSync(
    path,
    `x,c,y\n${Array.from({ length: 20_000 }, (_, i) => `${i / 8},"c ${i % 3}",${i % 2 ? "odd" : "even"}`).join("\r\n")}`,
  );
  const data = await readCsv(path, { target: "y" });
  expect([data.count, data.x[4 * 12_345], data.y[12_345]]).toEqual([20_000, 12_345 / 8, 1]);
  expect((await encodeCsv(data.schema, path)).x).toEqual(data.x);
  await expect(readCsv(path, { target: "z" })).rejects.toThrow(`${path}: there is no column "z"`);
  await expect(readCsv(join(directory, "none.csv"), { target: "y" })).rejects.toThrow(FileError);
  await expect(readCsv(directory, { target: "y" })).rejects.toThrow(/it is a directory/);
  rmSync(directory, { recursive: true });
});

async function pointed(source: CsvSource): Promise<string> {
  let text = "";
  for await (const piece of decimalPoints(source, { file: "t.csv" })) text += piece;
  return text;
}

test("decimal commas become points; words, dates and the numbers of lines stay", async () => {
  const text = 'a;b;c\r\n3,5;1.234,75;x,y\n\n-0,5;1.234.567;"one\ntwo"\n,5;2020-01-31;"7,25"\n1,5e3;12;31.12.2020\n';
  expect(await pointed(text)).toBe(
    'a,b,c\n3.5,1234.75,"x,y"\n\n-0.5,1234567,"one\ntwo"\n.5,2020-01-31,7.25\n1.5e3,12,31.12.2020\n',
  );
  // In pieces, however they are cut.
  const pieces = [...text];
  expect(await pointed(pieces)).toBe(await pointed(text));
  expect((await records(await pointed(text))).map(([row]) => row)).toEqual((await records(text)).map(([row]) => row));
});

test("with decimal commas a point before three digits groups them; any other is refused with its row and column", async () => {
  expect(await pointed("a;b\n1,5;2\n3.500;-12.345.678\n")).toBe("a,b\n1.5,2\n3500,-12345678\n");
  for (const value of ["1.5", "0.123", "1234.567", "12.34"])
    await expect(pointed(`a;b\n1,5;2\n7;${value}\n`)).rejects.toThrow(
      `t.csv, row 3, column "b": the value is "${value}"`,
    );
});

describe("numbers as people write them", () => {
  const read = async (...cells: string[]) => {
    const text = `w\ty\n${cells.map((cell, i) => `${cell}\t${"ab"[i % 2]}`).join("\n")}\n`;
    const data = await readTable(text, { target: "y" });
    const [column] = data.schema.columns;
    return {
      x: [...data.x],
      form: column.kind === "numeric" ? column.form : column.kind,
      notes: data.notes!.map((note) => inWords(note)),
    };
  };

  test.each<[string[], number[], object | string]>([
    [["$1,200", "$5", "$1,234.50"], [1200, 5, 1234.5], { decimal: "point", unit: "$" }],
    [["€ 3.50", "-€ 1.25", "2"], [3.5, -1.25, 2], { decimal: "point", unit: "€" }],
    [["24%", "1 %", "-3.5%"], [24, 1, -3.5], { decimal: "point", unit: "%" }],
    [["(120)", "5", "7"], [-120, 5, 7], { decimal: "point" }],
    [["−5", "+3", "4.5"], [-5, 3, 4.5], { decimal: "point" }],
    [["1'234", "12’345’678", "9"], [1234, 12345678, 9], { decimal: "point" }],
    [["1 234,5", "2\u00a0000", "12"], [1234.5, 2000, 12], { decimal: "comma" }],
    [["1.234.567,8", "3,5", "12"], [1234567.8, 3.5, 12].map(Math.fround), { decimal: "comma" }],
    [["604,056", "1,000", "27,500"], [604056, 1000, 27500], { decimal: "point" }],
    [["1.234,50 EUR", "99,90 EUR", "5 EUR"], [1234.5, 99.9, 5].map(Math.fround), { decimal: "comma", unit: "EUR" }],
  ])("%j", async (cells, x, form) => {
    const read1 = await read(...cells);
    expect(read1.x).toEqual(x);
    expect(read1.form).toEqual(form);
    expect(read1.notes).toHaveLength(1);
  });

  test.each([
    ["different units", ["$5", "€5", "$7"]],
    ["a share beside a number", ["24%", "0.5", "3%"]],
    ["groups of two", ["1,20,000", "3,5,6", "12"]],
    ["words", ["H1", "H2", "H1"]],
    ["a parenthesis that stays open", ["(5", "(6", "(7"]],
  ])("%s are no numbers", async (_, cells) => {
    expect((await read(...cells)).form).toBe("categorical");
  });

  test("where both readings fit, the thousands are taken and the other is said", async () => {
    expect((await read("604,056", "308,684")).notes).toEqual([
      'w: "604,056" is read as the number 604056; if it is 604.056, say decimal: "comma".',
    ]);
  });

  test("later rows are read in the same way, and a word among them is named", async () => {
    const { schema } = await readTable("w;y\n1.234,5;a\n7,5;b\n", { target: "y" });
    expect([...(await encodeTable(schema, "w;y\n2.000,25;a\n3;b\n")).x]).toEqual([2000.25, 3]);
    await expect(encodeTable(schema, "w\n1.5\n")).rejects.toThrow(/row 2, column "w": the value is 1.5, but/);
  });

  test("whole numbers that a double cannot tell apart are words, as features and as classes", async () => {
    const csv = "id,y\n9007199254740993,a\n9007199254740992,b\n9007199254740993,a\n9007199254740992,b\n";
    const asFeature = await readTable(csv, { target: "y" });
    expect(asFeature.features).toEqual(["id=9007199254740992", "id=9007199254740993"]);
    expect([...asFeature.x]).toEqual([0, 1, 1, 0, 0, 1, 1, 0]);
    expect(asFeature.notes?.some((note) => inWords(note).includes("beyond 2⁵³"))).toBe(true);
    const asClass = await readTable(csv, { target: "id", task: "classification", columns: { y: "categorical" } });
    expect(asClass.classes).toEqual(["9007199254740992", "9007199254740993"]);
    const asNumber = await readTable(csv, { target: "y", columns: { id: "numeric" } });
    expect(asNumber.features).toEqual(["id"]);
    // What a double holds exactly is a number, and so is what stands among shorter ones.
    expect((await readTable("v,y\n9007199254740993,a\n7,b\n", { target: "y" })).features).toEqual(["v"]);
    expect((await readTable("id,y\n9007199254740991,a\n1,b\n", { target: "y" })).features).toEqual(["id"]);
  });

  test("digits with leading zeros are words, unless said to be numbers", async () => {
    const text = "zip,y\n00501,a\n10115,b\n00501,b\n";
    const data = await readTable(text, { target: "y" });
    expect(data.features).toEqual(["zip=00501", "zip=10115"]);
    expect(data.notes!.map((note) => inWords(note))).toEqual([
      'zip: digits with leading zeros, such as "00501", are taken for words; columns: "numeric" takes them for numbers.',
    ]);
    const numbers = await readTable(text, { target: "y", columns: { zip: "numeric" } });
    expect([...numbers.x]).toEqual([501, 10115, 501]);
    // Schemas of earlier versions hold such categories as numbers.
    const old = {
      ...data.schema,
      columns: [{ name: "zip", kind: "categorical" as const, categories: ["501", "10115"] }],
    };
    expect([...encodeRows(old, [{ zip: "00501" }])]).toEqual([1, 0]);
  });
});

describe("forms of tables", () => {
  test("without a line of names the columns are 1, 2, 3, and later rows of the schema need none either", async () => {
    const data = await readTable("1.5,2,p\n3,4,q\n", { target: "3", header: false });
    expect([data.features, data.classes, data.count]).toEqual([["1", "2"], ["p", "q"], 2]);
    expect([...(await encodeTable(parseSchema(JSON.parse(JSON.stringify(data.schema))), "7,8,p\n")).x]).toEqual([7, 8]);
    await expect(readTable("1.5,2,p\n3,4,q\n", { target: "3" })).rejects.toThrow(
      /no column "3": the first line, "1.5", "2", "p", looks like a row.*header: false/,
    );
  });

  test("runs of spaces part columns where they part every line alike", async () => {
    const data = await readTable("a  b y\n0 1   u\n 2 3 v \n", { target: "y" });
    expect([...data.x]).toEqual([0, 1, 2, 3]);
    expect(data.classes).toEqual(["u", "v"]);
    expect(data.notes).toEqual(["The columns are parted by spaces."]);
    await expect(readTable("one name\na b c\n", { target: "name" })).rejects.toThrow(/no column "name"/);
  });

  test("UTF-16 is known by its mark, other encodings by their names", async () => {
    const text = "größe,y\n1,ä\n2,ö\n";
    const utf16 = new Uint8Array([
      0xff,
      0xfe,
      ...new Uint8Array(Uint16Array.from(text, (c) => c.charCodeAt(0)).buffer),
    ]);
    const latin = Uint8Array.from(text, (c) => c.charCodeAt(0));
    const [a, b] = [
      await readTable(utf16, { target: "y" }),
      await readTable(latin, { target: "y", encoding: "windows-1252" }),
    ];
    expect([a.features, a.classes, b.features, b.classes]).toEqual([["größe"], ["ä", "ö"], ["größe"], ["ä", "ö"]]);
    await expect(readTable(latin, { target: "y" })).rejects.toThrow(
      /not UTF-8; say what it is, such as encoding: "windows-1252"/,
    );
    await expect(readTable(latin, { target: "y", encoding: "latin-one" })).rejects.toThrow(
      /no encoding called "latin-one"/,
    );
  });

  test("plain objects are rows; a value inside a value is named", async () => {
    const rows = [
      { size: 3, ripe: true, colour: "red" },
      { size: 1, ripe: false, colour: "green", note: null },
      { colour: "red", size: 2, ripe: true },
    ];
    const data = await readTable(rows, { target: "ripe", ignore: ["note"] });
    expect([data.features, data.classes]).toEqual([
      ["size", "colour=green", "colour=red"],
      ["false", "true"],
    ]);
    expect([...data.x]).toEqual([3, 0, 1, 1, 1, 0, 2, 0, 1]);
    expect((await encodeTable(data.schema, [{ size: 5, colour: "red" }])).x).toEqual(Float32Array.of(5, 0, 1));
    await expect(
      readTable(
        [
          { a: 1, b: { c: 2 } as never },
          { a: 2, b: 3 },
        ],
        { target: "a" },
      ),
    ).rejects.toThrow(/row 1, column "b"/);
  });
});

describe("numbers with decimal commas that were not announced", () => {
  const table = (rows: number, cell: (i: number) => string) =>
    `n;w;k\n${Array.from({ length: rows }, (_, i) => `${(i * 7) % 5};${cell(i)};${"ab"[i % 2]}`).join("\n")}\n`;

  test("where no other reading fits them, they are read as such, aloud", async () => {
    const input = await readTable(
      table(300, (i) => `${i},5`),
      { target: "k" },
    );
    expect([0, 1, 2].map((row) => input.x[row * 2 + 1])).toEqual([0.5, 1.5, 2.5]);
    expect(input.notes).toEqual(['w: "0,5" is read as the number 0.5.']);
    const target = await readTable(
      table(200, (i) => (i % 10 ? `1.${100 + i},25` : `${i}`)),
      { target: "w" },
    );
    expect([...target.y.subarray(9, 12)]).toEqual([1109.25, 10, 1111.25]);
    expect(parseSchema(JSON.parse(JSON.stringify(target.schema))).target).toEqual({
      name: "w",
      kind: "numeric",
      form: { decimal: "comma" },
    });
  });

  test("beside numbers with points they are words, and the error says how to read them", async () => {
    const text = table(300, (i) => (i < 20 ? `${i}.5` : `${i},5`));
    await expect(readTable(text, { target: "k" })).rejects.toThrow(
      /column "w": values such as "20,5" look like numbers.*decimal: "comma"/,
    );
  });

  test("a target of words that hardly repeat is no class, unless said to be", async () => {
    const text = table(40, (i) => `H${i}`);
    await expect(readTable(text, { target: "w" })).rejects.toThrow(/40 different words in 40 rows, such as "H0"/);
    expect((await readTable(text, { target: "w", task: "classification" })).classes).toHaveLength(40);
  });
});

test("dates with points are days, the day first; a day that does not exist is named", async () => {
  // Days since 1970-01-01 by Python's datetime.
  const text = "d;y\n31.12.2024;1\n1.2.1970;2\n29.02.2000 12:00;3\n";
  const { x, schema, features } = await readTable(text, { target: "y", task: "regression" });
  expect([0, 1, 2].map((row) => x[row * 7])).toEqual([20088, 31, 11016.5]);
  expect(features).toEqual([
    "d",
    ...["hour", "weekday", "yearday"].flatMap((part) => [`d (${part}, sin)`, `d (${part}, cos)`]),
  ]);
  expect(schema.columns[0]).toEqual({ name: "d", kind: "date", parts: ["hour", "weekday", "yearday"] });
  // 2025-01-03 is the third day of its year: 2 of 365 days are over.
  const [days, , , , , sine, cosine] = encodeRows(schema, [{ d: "03.01.2025" }]);
  expect(days).toBe(20091);
  expect([sine, cosine]).toEqual([
    Math.fround(Math.sin((4 * Math.PI) / 365)),
    Math.fround(Math.cos((4 * Math.PI) / 365)),
  ]);
  await expect(readTable(`${text}31.02.2024;4\n`, { target: "y" })).rejects.toThrow(
    /row 5, column "d": .*31\.02\.2024/,
  );
});

test("readCsv and encodeCsv name options that they do not know", async () => {
  await expect(readCsv("none.csv", { target: "a", delimeter: ";" } as never)).rejects.toThrow(
    /readCsv has no option "delimeter". Did you mean "delimiter"/,
  );
  await expect(encodeCsv({} as never, "none.csv", { decimel: "comma" } as never)).rejects.toThrow(
    /Did you mean "decimal"/,
  );
});
