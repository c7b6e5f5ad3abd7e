/**
 * Files that people drop onto the page: what each is, and the rows in it. What cannot be read is told from what it looks
 * like, with what to do. Nothing leaves the page.
 */
import { DataError } from "chainrule";
import {
  type ColumnKind,
  type CsvSource,
  type Dataset,
  decodeImage,
  decodeSafetensors,
  encodeTable,
  type Image,
  npzToDatasets,
  type PlainRow,
  parseCsv,
  readTable,
  resize,
  type TableSchema,
  toColour,
  toGrey,
} from "chainrule/data";
import { unzipSync } from "fflate";

/** What a table's file was found to hold. */
export interface TableLook {
  readonly header: readonly string[];
  /** The first rows, as they are written. */
  readonly rows: readonly (readonly string[])[];
  /** The column that is probably meant to be predicted. */
  readonly target: string;
}

/** A file that was read. */
export interface OpenFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly table?: TableLook;
  dataset(choice: {
    readonly target?: string;
    readonly columns?: Readonly<Record<string, ColumnKind>>;
    readonly ignore?: readonly string[];
    /** How a model was taught to read such rows; then the other choices do not count. */
    readonly schema?: TableSchema;
  }): Promise<Dataset & { readonly notes?: readonly unknown[] }>;
}

/** Larger files would fill the memory of a page. */
const MOST_BYTES = 200 * 2 ** 20;
const SHOWN_ROWS = 12;
/** Pictures of a folder are brought to a square of at most so many pixels a side. */
const MOST_SIDE = 32;

const startsWith = (bytes: Uint8Array, ...wanted: number[]): boolean => wanted.every((byte, i) => bytes[i] === byte);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** What files that are no data begin with. */
const OTHERS: readonly (readonly [test: (bytes: Uint8Array, name: string) => boolean, is: string, instead: string])[] =
  [
    [(b) => startsWith(b, 0x25, 0x50, 0x44, 0x46), "a PDF document", "Save its table as CSV."],
    [
      (b) => /^\s*<(!doctype html|html)/i.test(textOf(b.subarray(0, 200))),
      "a web page",
      "Save the table in it as CSV.",
    ],
    [
      (b) => /^\s*<\?xml|^\s*<svg/i.test(textOf(b.subarray(0, 200))),
      "an XML document",
      "Save its rows as CSV or JSON.",
    ],
    [(b) => startsWith(b, 0xd0, 0xcf, 0x11, 0xe0), "an old Excel or Word document", "Save the sheet as CSV."],
    [(b) => startsWith(b, 0x89, 0x48, 0x44, 0x46), "an HDF5 file", "Save the arrays with numpy.savez, as x and y."],
    [
      (b) => startsWith(b, 0x50, 0x41, 0x52, 0x31),
      "a Parquet file",
      "The page does not read it, the command does; or save it as CSV.",
    ],
    [(b) => startsWith(b, 0x93, 0x4e, 0x55, 0x4d), "a single NumPy array", "Save x and y together with numpy.savez."],
    [
      (b, name) => /\.onnx$/i.test(name) || textOf(b.subarray(0, 64)).includes("pytorch"),
      "an ONNX model",
      "The page opens models of chainrule (.safetensors).",
    ],
    [
      (_, name) => /\.(pt|pth|pkl|h5|keras|tflite|pb)$/i.test(name),
      "a model of another program",
      "The page opens models of chainrule (.safetensors).",
    ],
    [
      (b) => startsWith(b, 0x7f, 0x45, 0x4c, 0x46) || startsWith(b, 0x4d, 0x5a),
      "a program",
      "Drop a table, pictures or a model.",
    ],
    [
      (_, name) => /\.(mp3|mp4|mov|wav|avi|mkv|ogg)$/i.test(name),
      "sound or film",
      "Drop a table, pictures or a model.",
    ],
  ];

const refuse = (name: string, is: string, instead: string): never => {
  throw new DataError(
    `${name} is ${is}. Wanted is a table (CSV, TSV, JSON), a zip of class folders with pictures, or an .npz with x and y. ${instead}`,
  );
};

/** Reads what was dropped: one file, or the pictures of a folder with their paths. */
export async function openFiles(
  files: readonly { readonly name: string; readonly bytes: Uint8Array }[],
): Promise<OpenFile> {
  if (files.length > 1) return openPictures(files[0].name.split("/")[0] || "pictures", files);
  const [{ name, bytes: given }] = files;
  if (given.length > MOST_BYTES)
    throw new DataError(
      `${name} has ${Math.round(given.length / 2 ** 20)} MB, more than a page can hold (${MOST_BYTES / 2 ** 20} MB). Take a part of its rows; the command trains on all.`,
    );
  if (given.length === 0) throw new DataError(`${name} is empty. Save it again, or drop another file.`);
  if (startsWith(given, 0x1f, 0x8b)) {
    const stream = new Blob([given as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream("gzip"));
    const bytes = new Uint8Array(
      await new Response(stream).arrayBuffer().catch(() => {
        throw new DataError(`${name} is compressed, but damaged. Copy it again.`);
      }),
    );
    return openFiles([{ name: name.replace(/\.gz$/i, ""), bytes }]);
  }
  if (startsWith(given, 0x50, 0x4b)) return openZip(name, given);
  for (const [test, is, instead] of OTHERS) if (test(given, name)) refuse(name, is, instead);
  if (/\.(png|jpe?g)$/i.test(name))
    refuse(
      name,
      "one picture",
      "A network learns from many: drop a folder with one folder of pictures for each class.",
    );
  if (isModel({ name, bytes: given })) refuse(name, "a model", "Drop the data that it should learn together with it.");
  const isBinary =
    given.subarray(0, 4096).some((byte) => byte === 0) &&
    !startsWith(given, 0xff, 0xfe) &&
    !startsWith(given, 0xfe, 0xff);
  if (isBinary) refuse(name, "no text, and of no kind that is known here", "Save your rows as CSV.");
  return /\.(json|jsonl|ndjson)$/i.test(name) ? openObjects(name, given) : openTable(name, given);
}

/** Whether a file is a model of this library; weights of others are refused. */
export function isModel({ name, bytes }: { readonly name: string; readonly bytes: Uint8Array }): boolean {
  if (!/\.safetensors$/i.test(name)) return false;
  return decodeSafetensors(bytes, name).metadata.chainrule !== undefined;
}

// Tables -------------------------------------------------------------------------------------------------------------

/** Titles that a column to predict often has. */
const TARGETS = /^(target|label|labels|class|species|y|outcome|survived|quality|price|diagnosis|result)$/i;

const likelyTarget = (header: readonly string[]): string =>
  header.find((title) => TARGETS.test(title)) ?? header.at(-1)!;

/** Rows as a model reads them. */
async function encoded(schema: TableSchema, rows: CsvSource | readonly PlainRow[], file: string): Promise<Dataset> {
  const { y, ...table } = await encodeTable(schema, rows, { file, target: true });
  return { ...table, y: y! };
}

async function openTable(name: string, bytes: Uint8Array): Promise<OpenFile> {
  const rows: string[][] = [];
  for await (const records of parseCsv(bytes, { file: name })) {
    for (const { fields } of records) if (rows.length <= SHOWN_ROWS) rows.push([...fields]);
    if (rows.length > SHOWN_ROWS) break;
  }
  const [header] = rows.map((row) => row.map((cell) => cell.trim()));
  if (!header) throw new DataError(`${name} is empty. Save it again, or drop another file.`);
  if (header.length === 1)
    throw new DataError(
      `${name} has only one column, "${header[0].slice(0, 40)}". A table has columns with commas, semicolons or tabs between them: some to learn from, one to predict.`,
    );
  const isHeadless = header.filter((cell) => /^[+-]?\d+([.,]\d+)?$/.test(cell)).length >= header.length / 2;
  const titles = isHeadless ? header.map((_, i) => String(i + 1)) : header;
  return {
    name,
    bytes,
    table: { header: titles, rows: isHeadless ? rows : rows.slice(1), target: likelyTarget(titles) },
    dataset: ({ target = likelyTarget(titles), columns, ignore, schema }) =>
      schema
        ? encoded(schema, bytes, name)
        : readTable(bytes, {
            ...{ target, file: name, missing: "mean" },
            ...(columns && { columns }),
            ...(ignore && { ignore }),
            ...(isHeadless && { header: false }),
          }),
  };
}

async function openObjects(name: string, bytes: Uint8Array): Promise<OpenFile> {
  const text = textOf(bytes);
  let rows: PlainRow[];
  try {
    const isLines = /\.(jsonl|ndjson)$/i.test(name);
    const value: unknown = isLines
      ? text
          .split("\n")
          .filter((line) => line.trim())
          .map((line) => JSON.parse(line))
      : JSON.parse(text);
    rows = value as PlainRow[];
  } catch (error) {
    throw new DataError(
      `${name} is no JSON: ${error instanceof Error ? error.message : error}. Wanted is a list of objects, [{ "size": 3, "ripe": "yes" }, …].`,
      { file: name },
    );
  }
  if (
    !Array.isArray(rows) ||
    rows.length === 0 ||
    typeof rows[0] !== "object" ||
    rows[0] === null ||
    Array.isArray(rows[0])
  )
    throw new DataError(
      `${name} holds ${Array.isArray(rows) ? (rows.length === 0 ? "an empty list" : "a list of other things") : "no list"}. Wanted is a list of objects, [{ "size": 3, "ripe": "yes" }, …].`,
      { file: name },
    );
  const header = Object.keys(rows[0]);
  return {
    name,
    bytes,
    table: {
      header,
      rows: rows.slice(0, SHOWN_ROWS).map((row) => header.map((title) => String(row[title] ?? ""))),
      target: likelyTarget(header),
    },
    dataset: ({ target = likelyTarget(header), columns, ignore, schema }) =>
      schema
        ? encoded(schema, rows, name)
        : readTable(rows, {
            target,
            file: name,
            missing: "mean",
            ...(columns && { columns }),
            ...(ignore && { ignore }),
          }),
  };
}

// Archives and pictures ----------------------------------------------------------------------------------------------

async function openZip(name: string, bytes: Uint8Array): Promise<OpenFile> {
  if (/\.npz$/i.test(name)) {
    const { train } = await npzToDatasets(bytes, name);
    return { name, bytes, dataset: async () => train };
  }
  if (/\.(xlsx|docx|pptx|ods|odt)$/i.test(name)) refuse(name, "an office document", "Save the sheet as CSV.");
  let entries: Record<string, Uint8Array>;
  let unpacked = 0;
  try {
    // Only what could be used is unpacked, and never more than a page can hold.
    entries = unzipSync(bytes, {
      filter: ({ name: entry, originalSize }) => {
        if (!/\.(png|jpe?g|csv|tsv|json)$/i.test(entry) || /(^|\/)(__MACOSX|\.)/.test(entry)) return false;
        unpacked += originalSize;
        return unpacked <= MOST_BYTES;
      },
    });
  } catch {
    throw new DataError(`${name} is a zip file, but damaged. Copy it again.`);
  }
  const files = Object.entries(entries).map(([path, content]) => ({ name: path, bytes: content }));
  const tables = files.filter(({ name: entry }) => /\.(csv|tsv|json)$/i.test(entry));
  if (tables.length === 1) return openFiles(tables);
  const pictures = files.filter(({ name: entry }) => /\.(png|jpe?g)$/i.test(entry));
  if (pictures.length === 0)
    throw new DataError(
      `${name} is a zip file without pictures or a table in it. Put one folder of PNG or JPEG pictures for each class into it.`,
    );
  return openPictures(name, pictures, bytes);
}

async function openPictures(
  name: string,
  files: readonly { readonly name: string; readonly bytes: Uint8Array }[],
  bytes: Uint8Array = new Uint8Array(0),
): Promise<OpenFile> {
  const pictures = files.filter((file) => /\.(png|jpe?g)$/i.test(file.name) && file.name.includes("/"));
  const classOf = (path: string): string => path.split("/").at(-2)!;
  const classes = [...new Set(pictures.map((file) => classOf(file.name)))].sort();
  if (classes.length < 2)
    throw new DataError(
      `${name} has ${classes.length === 0 ? "no folders with pictures" : `pictures of one class only, "${classes[0]}"`}. Wanted is one folder of PNG or JPEG pictures for each class, two at least.`,
    );
  const images: Image[] = [];
  for (const file of pictures) images.push(await decodeImage(file.bytes, { file: file.name }));
  const channels = images.some((image) => image.channels === 3) ? 3 : 1;
  const side = (of: (image: Image) => number): number => Math.min(MOST_SIDE, Math.max(...images.map(of)));
  const [width, height] = [side((image) => image.width), side((image) => image.height)];
  const size = width * height * channels;
  const x = new Uint8Array(images.length * size);
  images.forEach((image, i) => {
    const fitted = resize(channels === 1 ? toGrey(image) : toColour(image), width, height);
    x.set(fitted.data, i * size);
  });
  const data: Dataset = {
    x,
    y: Int32Array.from(pictures, (file) => classes.indexOf(classOf(file.name))),
    count: images.length,
    inputShape: [height, width, channels],
    task: "classification",
    classes,
  };
  return { name, bytes, dataset: async () => data };
}
