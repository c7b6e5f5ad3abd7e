/**
 * Reads HDF5 files as Keras writes them (HDF5 File Format Specification 3.0): groups, attributes, and arrays that lie in one
 * piece, in the old form and the new. Packed and chunked arrays, references and types of one's own are not read. All is read
 * from the bytes at hand; a damaged file is refused, and none makes it read without end or take more memory than it has.
 */
import { countElements } from "../../data/arrays.ts";
import type { Shape } from "../../graph/shape.ts";
import { Bytes, type Cursor, damaged, textOf, unread } from "./bytes.ts";
import { thingsOf } from "./heap.ts";
import { type AttributeValue, elementsOf, readAttribute, readShape, readType } from "./values.ts";

const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];

/** Messages of an object's header, by what they are of. */
const SHAPE = 0x01;
const LINKS = 0x02;
const TYPE = 0x03;
const LINK = 0x06;
const LAYOUT = 0x08;
const FILTERS = 0x0b;
const ATTRIBUTE = 0x0c;
const CONTINUATION = 0x10;
const TABLE = 0x11;
const ATTRIBUTES = 0x15;

/** The root of an HDF5 file. Throws `DataError` for any other file and for damaged ones. */
export function readHdf5(all: Uint8Array): Hdf5Object {
  if (!SIGNATURE.every((byte, i) => all[i] === byte)) throw damaged("it does not begin as one");
  const bytes = new Bytes(all);
  const cursor = bytes.at(8);
  const version = cursor.u8();
  if (version > 3) throw unread(`form ${version}`, "Write it with an earlier version of the HDF5 library");
  const isOld = version < 2;
  if (isOld) cursor.skip(4);
  if (cursor.u8() !== 8 || cursor.u8() !== 8)
    throw unread("addresses of other than 8 bytes", "Save the model with Keras");
  // Of the old form: sizes of trees, four addresses, and the root's entry, whose second address is its header's.
  cursor.skip(isOld ? [9, 13][version] : 1);
  if (cursor.u64() !== 0) throw unread("something before its beginning", "Save the model with Keras");
  cursor.skip(isOld ? 32 : 16);
  return new Hdf5Object(bytes, cursor.u64());
}

interface Message {
  readonly kind: number;
  readonly isShared: boolean;
  readonly body: Cursor;
}

/** A group or an array of the file. */
export class Hdf5Object {
  readonly #bytes: Bytes;
  readonly #messages: readonly Message[];
  #children: ReadonlyMap<string, number> | undefined;
  /** Where its header stands, by which one object is told from another. */
  readonly address: number;

  constructor(bytes: Bytes, address: number) {
    this.#bytes = bytes;
    this.address = address;
    this.#messages = messagesOf(bytes, address);
  }

  /** Reads the first message of a kind anew. */
  #message(kind: number): Cursor | undefined {
    const found = this.#messages.find((message) => message.kind === kind);
    if (found?.isShared) throw unread("types of its own", "Save the model with Keras");
    return found?.body.copy();
  }

  get isArray(): boolean {
    return this.#messages.some(({ kind }) => kind === LAYOUT);
  }

  /** An attribute's value, or undefined where there is none of this name. */
  attribute(name: string): AttributeValue | undefined {
    for (const { kind, body } of this.#messages) {
      if (kind !== ATTRIBUTE) continue;
      const attribute = readAttribute(this.#bytes, body.copy());
      if (attribute.name === name) return attribute.value();
    }
    const info = this.#message(ATTRIBUTES);
    if (!info) return undefined;
    const [heap, tree] = denseOf(info, 2);
    if (heap === undefined || tree === undefined) return undefined;
    for (const thing of thingsOf(this.#bytes, heap, tree, 0)) {
      const attribute = readAttribute(this.#bytes, thing);
      if (attribute.name === name) return attribute.value();
    }
    return undefined;
  }

  /** The names in a group, in the file's order. */
  get names(): string[] {
    return [...this.#links().keys()];
  }

  /** What a group has under a name, or under names with strokes between them. */
  child(path: string): Hdf5Object | undefined {
    let found: Hdf5Object | undefined = this;
    for (const name of path.split("/").filter((part) => part !== "")) {
      const address: number | undefined = found.#links().get(name);
      if (address === undefined) return undefined;
      found = new Hdf5Object(this.#bytes, address);
    }
    return found;
  }

  /** The numbers of an array. */
  array(): { shape: Shape; data: Float32Array } {
    const [typeAt, shapeAt, layout] = [TYPE, SHAPE, LAYOUT].map((kind) => this.#message(kind));
    if (!typeAt || !shapeAt || !layout) throw damaged("an array lacks its type, shape or place");
    if (this.#messages.some(({ kind }) => kind === FILTERS)) throw packed();
    const type = readType(typeAt);
    if (type.kind !== "number") throw unread("arrays that are not numbers", "Save the weights alone");
    const shape = readShape(shapeAt);
    const data = elementsOf(type).read(this.#data(layout, countElements(shape)! * type.size), type.bigEndian);
    return { shape, data: data instanceof Float32Array ? data : Float32Array.from(data as ArrayLike<number>, Number) };
  }

  /** The bytes of an array, as its layout has them. */
  #data(layout: Cursor, length: number): Uint8Array {
    const version = layout.u8();
    if (version < 3 || version > 4) throw unread(`arrays laid out in form ${version}`, "Write it again with h5repack");
    const kind = layout.u8();
    if (kind === 0) return this.#bytes.data(layout.inner(layout.u16()), length);
    if (kind !== 1) throw packed();
    const address = layout.address();
    if (length === 0) return new Uint8Array();
    if (address === undefined) throw damaged("an array has no data");
    return this.#bytes.data(this.#bytes.at(address), length);
  }

  /** Names and addresses of what a group has. */
  #links(): ReadonlyMap<string, number> {
    this.#children ??= this.#readLinks();
    return this.#children;
  }

  #readLinks(): Map<string, number> {
    const table = this.#message(TABLE);
    if (table) return tableLinks(this.#bytes, table.u64(), table.u64());
    const bodies = this.#messages.filter(({ kind }) => kind === LINK).map(({ body }) => body.copy());
    const info = this.#message(LINKS);
    const [heap, tree] = info ? denseOf(info, 8) : [];
    if (heap !== undefined && tree !== undefined) bodies.push(...thingsOf(this.#bytes, heap, tree, 4));
    return new Map(bodies.flatMap(readLink));
  }
}

const packed = () =>
  unread("packed or chunked arrays", "Write it again without: h5repack -f NONE -l CONTI FILE.h5 PLAIN.h5");

/** The messages of an object's header, those that stand elsewhere too. */
function messagesOf(bytes: Bytes, address: number): Message[] {
  bytes.visit();
  const messages: Message[] = [];
  const cursor = bytes.at(address);
  const isNew = bytes.all[address] === 0x4f; // "OHDR"
  let hasOrder = false;
  const blocks: Cursor[] = [];
  if (isNew) {
    if (cursor.letters(4) !== "OHDR" || cursor.u8() !== 2) throw damaged(`no header stands at address ${address}`);
    const flags = cursor.u8();
    hasOrder = (flags & 4) !== 0;
    cursor.skip((flags & 32 ? 16 : 0) + (flags & 16 ? 4 : 0));
    blocks.push(cursor.inner(cursor.uint(1 << (flags & 3))));
  } else {
    if (cursor.u8() !== 1) throw damaged(`no header stands at address ${address}`);
    cursor.skip(7);
    const size = cursor.u32();
    blocks.push(cursor.skip(4).inner(size));
  }
  const head = isNew ? (hasOrder ? 6 : 4) : 8;
  for (let block = blocks.pop(); block; block = blocks.pop()) {
    while (block.left >= head) {
      bytes.visit();
      const kind = isNew ? block.u8() : block.u16();
      const size = block.u16();
      const flags = block.u8();
      block.skip(isNew ? (hasOrder ? 2 : 0) : 3);
      const body = block.inner(size);
      if (kind === CONTINUATION) {
        const [at, length] = [body.u64(), body.u64()];
        const more = bytes.at(at).inner(length);
        if (!isNew) blocks.push(more);
        else {
          if (more.letters(4) !== "OCHK") throw damaged("a header does not go on where it should");
          blocks.push(more.inner(Math.max(0, more.left - 4))); // without its check sum
        }
      } else messages.push({ kind, isShared: (flags & 2) !== 0, body });
    }
  }
  return messages;
}

/** The addresses of the heap and the tree of links or attributes that are many; an order of theirs takes so many bytes. */
function denseOf(info: Cursor, orderSize: number): [number | undefined, number | undefined] {
  const flags = info.skip(1).u8();
  if (flags & 1) info.skip(orderSize);
  return [info.address(), info.address()];
}

/** A link message: a name and the address of what it means. Links to other names and files are none. */
function readLink(cursor: Cursor): [string, number][] {
  if (cursor.u8() !== 1) throw damaged("a link's form is not known");
  const flags = cursor.u8();
  const kind = flags & 8 ? cursor.u8() : 0;
  cursor.skip((flags & 4 ? 8 : 0) + (flags & 16 ? 1 : 0));
  const name = textOf(cursor.take(cursor.uint(1 << (flags & 3))));
  return kind === 0 ? [[name, cursor.u64()]] : [];
}

/** The links of a group of the old form: a tree of tables of names, which stand in a heap. */
function tableLinks(bytes: Bytes, tree: number, heap: number): Map<string, number> {
  const heapHead = bytes.part(heap, "HEAP").skip(4);
  const heapSize = heapHead.u64();
  const names = heapHead.skip(8).u64();
  if (names + heapSize > bytes.all.length) throw damaged("names stand outside of the file");
  const links = new Map<string, number>();
  const nameAt = (offset: number): string => {
    const text = bytes.at(names + offset, names + heapSize);
    return textOf(text.take(Math.min(text.left, 65_536)));
  };
  const node = (address: number, depth: number): void => {
    const head = bytes.part(address, "TREE");
    if (head.u8() !== 0) throw damaged("a group's tree is of another kind");
    const level = head.u8();
    const count = head.u16();
    if (depth > 32) throw damaged("a group's tree is too deep");
    head.skip(16);
    for (let i = 0; i < count; i++) {
      const child = head.skip(8).u64();
      if (level > 0) node(child, depth + 1);
      else table(child);
    }
  };
  const table = (address: number): void => {
    const head = bytes.part(address, "SNOD").skip(2);
    const count = head.u16();
    for (let i = 0; i < count; i++) {
      bytes.visit();
      const name = nameAt(head.u64());
      const object = head.u64();
      const kind = head.u32();
      head.skip(20);
      if (kind !== 2) links.set(name, object);
    }
  };
  node(tree, 0);
  return links;
}
