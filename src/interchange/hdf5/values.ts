/** HDF5's types of elements, shapes of arrays, and values of attributes. */
import { countElements, type ElementType } from "../../data/arrays.ts";
import { ELEMENT_TYPES, type ElementName } from "../../data/element-types.ts";
import { type Bytes, type Cursor, damaged, textOf, unread } from "./bytes.ts";

/** A type of elements: numbers, text of a fixed length, or text that lies elsewhere. */
export type Type =
  | { readonly kind: "number"; readonly size: number; readonly name: ElementName; readonly bigEndian: boolean }
  | { readonly kind: "text" | "far text" | "other"; readonly size: number };

/** Reads a datatype message. */
export function readType(cursor: Cursor): Type {
  const kind = cursor.u8() & 15;
  const bits = cursor.uint(3);
  const size = cursor.u32();
  const bigEndian = (bits & 1) === 1;
  const named = (letter: string): Type => {
    const name = `${letter}${size}` as ElementName;
    return Object.hasOwn(ELEMENT_TYPES, name) ? { kind: "number", size, name, bigEndian } : { kind: "other", size };
  };
  if (kind === 0) return named(bits & 8 ? "i" : "u");
  if (kind === 1) {
    // Two bytes are a half float, or bfloat16 where eight bits of them are the exponent.
    const exponent = cursor.skip(5).u8();
    return named(size === 2 && exponent === 8 ? "bf" : "f");
  }
  if (kind === 3) return { kind: "text", size };
  if (kind === 9) return { kind: (bits & 15) === 1 ? "far text" : "other", size };
  // What h5py makes of bfloat16: two bytes without a meaning.
  return kind === 5 && size === 2
    ? { kind: "number", size, name: "bf2" as ElementName, bigEndian: false }
    : { kind: "other", size };
}

/** Reads a dataspace message: the lengths of the axes. */
export function readShape(cursor: Cursor): number[] {
  const version = cursor.u8();
  const rank = cursor.u8();
  cursor.skip(version === 1 ? 6 : 1);
  const kind = version === 1 ? 1 : cursor.u8();
  const shape = Array.from({ length: rank }, () => cursor.u64());
  if (version < 1 || version > 2 || countElements(shape) === undefined)
    throw damaged("an array's shape makes no sense");
  return kind === 2 ? [0] : shape;
}

/** The type as the reader of elements knows it. */
export const elementsOf = (type: Type & { kind: "number" }): ElementType => ELEMENT_TYPES[type.name];

/** What an attribute has: a text, several, or numbers. */
export type AttributeValue = string | readonly string[] | readonly number[];

/** Reads an attribute message; a value of a type that is not known is none. */
export function readAttribute(bytes: Bytes, cursor: Cursor): { name: string; value: () => AttributeValue | undefined } {
  const version = cursor.u8();
  if (version < 1 || version > 3) throw damaged("an attribute's form is not known");
  const flags = cursor.u8();
  if (version > 1 && flags !== 0) throw unread("attributes of shared types", "Save the model with Keras");
  const [nameSize, typeSize, shapeSize] = [cursor.u16(), cursor.u16(), cursor.u16()];
  if (version === 3) cursor.skip(1);
  // The first form fills each part up to a multiple of eight.
  const part = (size: number): Cursor => {
    const inner = cursor.inner(size);
    if (version === 1) cursor.skip((8 - (size % 8)) % 8);
    return inner;
  };
  const name = textOf(part(nameSize).take(nameSize));
  const [type, shape] = [readType(part(typeSize)), readShape(part(shapeSize))];
  const value = (): AttributeValue | undefined => {
    if (type.kind === "other") return undefined;
    const count = countElements(shape)!;
    const data = cursor.inner(count * type.size);
    if (type.kind === "number") return Array.from(elementsOf(type).read(data.take(data.left), type.bigEndian), Number);
    const texts = Array.from({ length: count }, () =>
      type.kind === "text" ? textOf(data.take(type.size)) : farText(bytes, data.inner(type.size)),
    );
    return shape.length === 0 ? (texts[0] ?? "") : texts;
  };
  return { name, value };
}

/** Text in a collection elsewhere in the file. */
function farText(bytes: Bytes, reference: Cursor): string {
  const length = reference.u32();
  const address = reference.address();
  const wanted = reference.u32();
  if (length === 0 || address === undefined || address === 0) return "";
  const head = bytes.part(address, "GCOL").skip(4);
  const size = head.u64();
  if (size < 16 || address + size > bytes.all.length) throw damaged("a collection of texts is longer than the file");
  const cursor = bytes.at(address + 16, address + size);
  while (cursor.left >= 16) {
    bytes.visit();
    const index = cursor.u16();
    cursor.skip(6);
    const own = cursor.u64();
    if (index === 0) break;
    if (index === wanted) return textOf(cursor.take(Math.min(own, length)));
    cursor.skip(Math.min(Math.ceil(own / 8) * 8, cursor.left));
  }
  throw damaged("a text is not where it should be");
}
