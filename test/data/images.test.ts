/** Images: every kind of PNG and JPEG against ImageMagick, resizing, digits as MNIST's, folders, and damage. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { type Dataset, take } from "../../src/data/dataset.ts";
import { decodeImage, type Image, normalizeDigit, resize, toGrey } from "../../src/data/images.ts";
import { decodeJpeg } from "../../src/data/jpeg.ts";
import { mnist } from "../../src/data/node/idx.ts";
import { readImageFolder } from "../../src/data/node/images.ts";
import { decodePng } from "../../src/data/png.ts";
import { DataError } from "../../src/errors.ts";

const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
const { resized, ...files } = JSON.parse(
  readFileSync(new URL("../fixtures/data/images.json", import.meta.url), "utf8"),
) as Record<string, { file: string; rgba: string }> & { resized: Record<string, string> };
const names = Object.keys(files);

test.each(names.filter((name) => !name.startsWith("JPEG")))("PNG, %s", async (name) => {
  const { width, height, rgba } = await decodePng(bytesOf(files[name].file));
  expect([width, height]).toEqual([13, 11]);
  const wanted = bytesOf(files[name].rgba);
  for (let i = 0; i < rgba.length; i += 4) if (rgba[i + 3] === 0) rgba.copyWithin(i, 0, 0); // colour there means nothing
  // Of 16 bits ImageMagick drops the lower 8; we round.
  const tolerance = name.endsWith("16") ? 1 : 0;
  expect(Math.max(...rgba.map((value, i) => Math.abs(value - wanted[i])))).toBeLessThanOrEqual(tolerance);
});

test.each(names.filter((name) => name.startsWith("JPEG")))("%s", async (name) => {
  const { width, height, rgba } = await decodeJpeg(bytesOf(files[name].file));
  expect([width, height]).toEqual([13, 11]);
  const wanted = bytesOf(files[name].rgba);
  const differences = rgba.map((value, i) => Math.abs(value - wanted[i]));
  // Decoders may round differently, and enlarge the subsampled colours in another way.
  expect(Math.max(...differences)).toBeLessThanOrEqual(name.includes("subsampled") ? 40 : 3);
  expect(differences.reduce((sum, value) => sum + value, 0) / rgba.length).toBeLessThan(
    name.includes("subsampled") ? 5 : 1,
  );
});

test("transparency shows the background: white, a grey level, or what contrasts", async () => {
  const file = bytesOf(files["one transparent colour"].file); // the first pixel is transparent
  expect([...(await decodeImage(file)).data.subarray(0, 6)]).toEqual([255, 255, 255, 24, 9, 40]);
  expect([...(await decodeImage(file, { background: 7 })).data.subarray(0, 3)]).toEqual([7, 7, 7]);
  const plain = bytesOf(files["colour and alpha 8"].rgba);
  const { data } = await decodeImage(bytesOf(files["colour and alpha 8"].file));
  const pixel = 4 * 40;
  const alpha = plain[pixel + 3] / 255;
  expect(data[3 * 40]).toBe(Math.round(plain[pixel] * alpha + 255 * (1 - alpha)));
});

test("resizing equals ImageMagick's triangle filter", () => {
  const image: Image = { width: 13, height: 11, channels: 1, data: bytesOf(resized.from) };
  for (const [size, [width, height]] of [
    ["5x4", [5, 4]],
    ["30x7", [30, 7]],
  ] as const) {
    // biome-ignore format: one line
    const wanted = bytesOf(resized[size]);
    const came = resize(image, width, height).data;
    expect(Math.max(...came.map((value, i) => Math.abs(value - wanted[i])))).toBeLessThanOrEqual(1);
  }
});

test("grey is the weighted brightness", () => {
  const image: Image = {
    width: 4,
    height: 1,
    channels: 3,
    data: new Uint8Array([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9]),
  };
  expect([...toGrey(image).data]).toEqual([76, 150, 29, 9]);
});

let digits: Dataset;
beforeAll(async () => {
  digits = take(
    (await mnist()).test!,
    Array.from({ length: 100 }, (_, i) => i),
  );
});
const digit = (i: number): Image => ({
  width: 28,
  height: 28,
  channels: 1,
  data: digits.x.subarray(784 * i, 784 * (i + 1)) as Uint8Array,
});
const distance = (a: Uint8Array, b: Uint8Array) =>
  a.reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0) / a.length;
const meanDistance = (change: (image: Image) => Image) => {
  let sum = 0;
  for (let i = 0; i < digits.count; i++) sum += distance(normalizeDigit(change(digit(i))), digit(i).data);
  return sum / digits.count;
};

test("digits of MNIST stay what they are", () => {
  expect(meanDistance((image) => image)).toBeLessThan(0.5); // of 255
});

test("enlarged, moved, inverted, noisy digits come back near to what they were", () => {
  const drawn = (invert: boolean, noise: number) => (image: Image) => {
    const large = resize(image, 111, 111);
    const data = new Uint8Array(200 * 180).fill(10);
    for (let y = 0; y < 111; y++)
      for (let x = 0; x < 111; x++) data[(y + 60) * 200 + x + 15] = 10 + large.data[y * 111 + x] * 0.8;
    data.forEach((value, i) => {
      const noisy = value + ((i * 7919) % (2 * noise + 1)) - noise;
      data[i] = invert ? 255 - noisy : noisy;
    });
    return { width: 200, height: 180, channels: 1 as const, data };
  };
  expect(meanDistance(drawn(false, 0))).toBeLessThan(10);
  expect(meanDistance(drawn(true, 0))).toBeLessThan(10);
  expect(meanDistance(drawn(true, 4))).toBeLessThan(10);
});

test("a digit is centred by mass in 28 × 28, within a box of 20", () => {
  const data = new Uint8Array(40 * 90).fill(250);
  for (let y = 30; y < 80; y++) data.fill(5, y * 40 + 20, y * 40 + (y < 40 ? 38 : 24)); // a heavy top
  const out = normalizeDigit({ width: 40, height: 90, channels: 1, data });
  let [mass, x, y] = [0, 0, 0];
  const rows = new Set<number>();
  out.forEach((value, i) => {
    mass += value;
    x += value * (i % 28);
    y += value * Math.floor(i / 28);
    if (value) rows.add(Math.floor(i / 28));
  });
  expect(Math.abs(x / mass - 14)).toBeLessThanOrEqual(0.5);
  expect(Math.abs(y / mass - 14)).toBeLessThanOrEqual(0.5);
  expect(rows.size).toBe(20);
  expect(Math.max(...out)).toBe(255);
});

test.each([0, 128, 255])("a blank image of %i is a DataError", (value) => {
  const image: Image = { width: 30, height: 30, channels: 1, data: new Uint8Array(900).fill(value) };
  expect(() => normalizeDigit(image, "page.png")).toThrow(/page.png: the image is blank/);
  expect(() => normalizeDigit({ width: 1, height: 1, channels: 1, data: new Uint8Array([value]) })).toThrow(DataError);
});

const good = bytesOf(files["colour 8"].file);
const withHeaderOf = (width: number, height: number) => {
  const bytes = good.slice();
  const view = new DataView(bytes.buffer);
  view.setUint32(16, width);
  view.setUint32(20, height);
  view.setUint32(29, crcOf(bytes.subarray(12, 29)));
  return bytes;
};
/** CRC-32, bit by bit. */
function crcOf(bytes: Uint8Array): number {
  let value = ~0;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  }
  return ~value >>> 0;
}

test.each([
  ["empty", new Uint8Array(), /the file is empty/],
  ["of another format", new TextEncoder().encode("GIF89a"), /neither PNG nor JPEG/],
  ["cut", good.subarray(0, good.length - 20), /cut short/],
  [
    "damaged",
    good.map((byte, i) => (i === good.length - 20 ? byte ^ 1 : byte)),
    /check sum of its part "IDAT" is wrong/,
  ],
  ["larger than its data", withHeaderOf(8000, 8000), /bytes of pixels where its size takes 192008000/],
  ["smaller than its data", withHeaderOf(2, 2), /unpacks to more than 14 bytes/],
  ["of 2^62 pixels", withHeaderOf(2 ** 31, 2 ** 31), /2147483648 × 2147483648 pixels/],
  ["cut JPEG", bytesOf(files.JPEG.file).subarray(0, 100), /JPEG image is damaged/],
])("an image that is %s is a DataError with its name", async (_, bytes, message) => {
  const error = await decodeImage(bytes, { file: "i.png" }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(DataError);
  expect((error as DataError).message).toMatch(message);
  expect((error as DataError).at.file).toBe("i.png");
});

const dotPng = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg==";

test("a folder of class folders", async () => {
  const root = mkdtempSync(join(tmpdir(), "chainrule-images-"));
  const put = (path: string, name: string) => {
    mkdirSync(join(root, path, ".."), { recursive: true });
    writeFileSync(join(root, path), bytesOf(files[name].file));
  };
  put("one/cat/a.png", "grey 8");
  await expect(readImageFolder(join(root, "one"))).rejects.toThrow(/only the class folder "cat"/);
  await expect(readImageFolder(join(root, "one", "cat"))).rejects.toThrow(/no class folders, only images/);
  put("two/cat/a.png", "grey 8");
  put("two/dog/b.JPG", "JPEG grey");
  writeFileSync(join(root, "two", "notes.txt"), "");
  const grey = await readImageFolder(join(root, "two"));
  expect([grey.count, grey.inputShape, grey.classes, [...grey.y]]).toEqual([2, [11, 13, 1], ["cat", "dog"], [0, 1]]);
  put("two/dog/c.png", "colour 8");
  const colour = await readImageFolder(join(root, "two"), { size: { width: 4, height: 3 } });
  expect([colour.count, colour.inputShape, colour.x.length]).toEqual([3, [3, 4, 3], 108]);
  expect((await readImageFolder(join(root, "two"), { channels: 1, classes: ["dog", "cat"] })).y).toEqual(
    new Int32Array([0, 0, 1]),
  );
  for (const litter of ["two/.DS_Store", "two/__MACOSX/x", "two/cat/Thumbs.db"]) {
    mkdirSync(join(root, litter, ".."), { recursive: true });
    writeFileSync(join(root, litter), "");
  }
  for (const other of ["a.webp", "b.WEBP", "c.bmp"]) writeFileSync(join(root, "two", "dog", other), "");
  const clean = await readImageFolder(join(root, "two"), { size: { width: 4, height: 3 } });
  expect([clean.count, clean.classes, clean.notes]).toEqual([
    3,
    ["cat", "dog"],
    ["Passed over: 2 .webp, 1 .bmp; PNG and JPEG are read. Convert them to train on them."],
  ]);
  put("sizes/cat/a.png", "grey 8");
  put("sizes/dog/b.png", "colour 8");
  writeFileSync(join(root, "sizes", "dog", "c.png"), bytesOf(dotPng));
  await expect(readImageFolder(join(root, "sizes"))).rejects.toThrow(
    /has 1 × 1 pixels, but .*a\.png has 13 × 11; size: "13x11" brings all to one size/,
  );
  mkdirSync(join(root, "two", "empty"));
  await expect(readImageFolder(join(root, "two"))).rejects.toThrow(/empty: the class folder holds no/);
  rmSync(join(root, "two", "empty"), { recursive: true });
  writeFileSync(join(root, "two", "cat", "z.png"), good.subarray(0, 50));
  await expect(readImageFolder(join(root, "two"))).rejects.toThrow(/z.png: the PNG image is cut short/);
  rmSync(root, { recursive: true });
});
