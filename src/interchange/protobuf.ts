/**
 * Protocol buffers, as far as a schema of numbered fields says (https://protobuf.dev/programming-guides/encoding): reads
 * messages into plain objects, and writes them. Fields that the schema does not know are passed over. Bytes are not
 * copied, so reading takes time with the number of messages, not with the size of what they hold.
 */
import { DataError } from "../errors.ts";

/** What a field holds: a number, a text, bytes, or a message of its own. `int64` beyond 2⁵³ comes as the nearest double. */
export type FieldType = "int" | "float" | "double" | "string" | "bytes" | Schema;

export interface Field {
  readonly name: string;
  readonly type: FieldType | (() => Schema);
  readonly repeated?: boolean;
}

/** The fields of a message, by their numbers. */
export type Schema = { readonly [number: number]: Field };

/** A message: absent fields are absent, repeated ones are lists. */
export type Message = Record<string, unknown>;

/** How deep messages may lie in each other, so that no file exhausts the stack. */
const DEEPEST = 64;

const VARINT = 0;
const FIXED_64 = 1;
const BYTES = 2;
const FIXED_32 = 5;

const schemaOf = (type: Field["type"]): Schema | undefined =>
  typeof type === "function" ? type() : typeof type === "object" ? type : undefined;

const damaged = (what: string, at: number): DataError =>
  new DataError(
    `The file is damaged: ${what} at byte ${at}. Copy it again, or write it again where it comes from.`,
    {},
    { code: "damaged-file", facts: { byte: at } },
  );

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  at: number;
  readonly end: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    // A Buffer of Node is one too, but its `slice` copies nothing.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = at;
    this.end = end;
  }

  #take(count: number): number {
    const from = this.at;
    if (!(count <= this.end - from)) throw damaged("it ends early", from);
    this.at += count;
    return from;
  }

  varint(): number {
    let low = 0;
    // Seven bits a byte; the first four bytes fit in an integer.
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#bytes[this.#take(1)];
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return low;
    }
    let value = BigInt(low);
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#take(1)];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(BigInt.asIntN(64, value));
    }
    throw damaged("a number does not end", this.at);
  }

  float = (): number => this.#view.getFloat32(this.#take(4), true);
  double = (): number => this.#view.getFloat64(this.#take(8), true);

  /** The reader of a piece with its length before it. */
  piece(): Reader {
    const length = this.varint();
    const from = this.#take(length < 0 ? Number.NaN : length);
    return new Reader(this.#bytes, from, from + length);
  }

  rest = (): Uint8Array => this.#bytes.subarray(this.at, this.end);

  skip(wire: number): void {
    if (wire === VARINT) this.varint();
    else if (wire === FIXED_64) this.#take(8);
    else if (wire === BYTES) this.piece();
    else if (wire === FIXED_32) this.#take(4);
    else throw damaged("there is a field of unknown form", this.at);
  }
}

/** The wire form of a number's type. */
const NUMBERS = { int: VARINT, float: FIXED_32, double: FIXED_64 } as const;

const isNumber = (type: Field["type"]): type is keyof typeof NUMBERS => typeof type === "string" && type in NUMBERS;

const numberOf = (reader: Reader, type: keyof typeof NUMBERS): number =>
  type === "int" ? reader.varint() : type === "float" ? reader.float() : reader.double();

const utf8 = new TextDecoder();

/** Reads a message. @throws DataError where the bytes are none. */
export function readMessage(bytes: Uint8Array, schema: Schema): Message {
  return messageOf(new Reader(bytes), schema, 0);
}

function messageOf(reader: Reader, schema: Schema, depth: number): Message {
  if (depth > DEEPEST) throw damaged(`messages lie more than ${DEEPEST} deep in each other`, reader.at);
  const message: Message = {};
  while (reader.at < reader.end) {
    const key = reader.varint();
    const [field, wire] = [schema[Math.floor(key / 8)], ((key % 8) + 8) % 8];
    if (!field) {
      reader.skip(wire);
      continue;
    }
    const { name, type, repeated } = field;
    if (repeated && !message[name]) message[name] = [];
    const list = repeated ? (message[name] as unknown[]) : undefined;
    if (isNumber(type) && wire === BYTES) {
      // Numbers packed one after the other.
      const piece = reader.piece();
      while (piece.at < piece.end) {
        const value = numberOf(piece, type);
        if (list) list.push(value);
        else message[name] = value;
      }
      continue;
    }
    if (wire !== (isNumber(type) ? NUMBERS[type] : BYTES)) throw damaged(`"${name}" has another form`, reader.at);
    let value: unknown;
    if (isNumber(type)) value = numberOf(reader, type);
    else {
      const piece = reader.piece();
      const inner = schemaOf(type);
      value = inner ? messageOf(piece, inner, depth + 1) : type === "string" ? utf8.decode(piece.rest()) : piece.rest();
    }
    if (list) list.push(value);
    else message[name] = value;
  }
  return message;
}

/** Pieces of bytes that grow, put together at the end. */
class Writer {
  readonly pieces: Uint8Array[] = [];
  length = 0;

  bytes(piece: Uint8Array): void {
    this.pieces.push(piece);
    this.length += piece.length;
  }

  varint(value: number): void {
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    this.bytes(Uint8Array.of(...bytes, Number(rest)));
  }

  append({ pieces, length }: Writer): void {
    this.varint(length);
    for (const piece of pieces) this.bytes(piece);
  }
}

/** Writes a message, fields in the order of their numbers. */
export function writeMessage(message: object, schema: Schema): Uint8Array<ArrayBuffer> {
  const { pieces, length } = written(message, schema);
  const all = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

function written(message: object, schema: Schema): Writer {
  const writer = new Writer();
  for (const [number, { name, type, repeated }] of Object.entries(schema)) {
    const value = (message as Message)[name];
    if (value === undefined) continue;
    for (const item of repeated ? (value as unknown[]) : [value]) {
      writer.varint(Number(number) * 8 + (isNumber(type) ? NUMBERS[type] : BYTES));
      const inner = schemaOf(type);
      if (inner) writer.append(written(item as object, inner));
      else if (type === "int") writer.varint(item as number);
      else if (type === "float") writer.bytes(new Uint8Array(Float32Array.of(item as number).buffer));
      else if (type === "double") writer.bytes(new Uint8Array(Float64Array.of(item as number).buffer));
      else {
        const bytes = type === "string" ? new TextEncoder().encode(item as string) : (item as Uint8Array);
        writer.varint(bytes.length);
        writer.bytes(bytes);
      }
    }
  }
  return writer;
}
