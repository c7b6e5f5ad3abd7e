/** The bytes of an HDF5 file, read with suspicion: numbers at addresses, none outside of the file, and only so many parts. */
import { DataError } from "../../errors.ts";

export const damaged = (what: string): DataError =>
  new DataError(`The HDF5 file is damaged: ${what}. Copy or save it again.`, {}, { code: "damaged-file" });

/** The error for what the format has and this reader has not. */
export const unread = (what: string, cure: string): DataError =>
  new DataError(`The HDF5 file has ${what}, which is not read here. ${cure}.`, {}, { code: "unsupported" });

/** How many headers, nodes and blocks a file may have that is read. */
const MOST_PARTS = 1_000_000;

export class Bytes {
  readonly all: Uint8Array;
  readonly #view: DataView;
  #partsLeft = MOST_PARTS;
  #dataLeft: number;

  constructor(all: Uint8Array) {
    this.all = all;
    this.#view = new DataView(all.buffer, all.byteOffset, all.length);
    this.#dataLeft = all.length;
  }

  /** The data of an array; all of them together are no longer than the file, so that none lies where another does. */
  data(cursor: Cursor, length: number): Uint8Array {
    const data = cursor.take(length);
    this.#dataLeft -= length;
    if (this.#dataLeft < 0) throw damaged("arrays lie in one another");
    return data;
  }

  /** Counts another part of the file, so that one which names itself ends. */
  visit(): void {
    if (--this.#partsLeft < 0) throw damaged("its parts name one another without end");
  }

  /** Reads from an address on. */
  at(address: number, end = this.all.length): Cursor {
    if (!(address >= 0 && address <= end && end <= this.all.length))
      throw damaged(`address ${address} is outside of its ${this.all.length} bytes`);
    return new Cursor(this, this.#view, address, end);
  }

  /** Reads a part that begins with four letters. */
  part(address: number, letters: string): Cursor {
    this.visit();
    const cursor = this.at(address);
    if (cursor.letters(4) !== letters) throw damaged(`${letters} should stand at address ${address}`);
    return cursor;
  }
}

/** A place in the file that moves on as it is read, up to an end. */
export class Cursor {
  readonly #bytes: Bytes;
  readonly #view: DataView;
  readonly end: number;
  place: number;

  constructor(bytes: Bytes, view: DataView, place: number, end: number) {
    this.#bytes = bytes;
    this.#view = view;
    this.place = place;
    this.end = end;
  }

  get left(): number {
    return this.end - this.place;
  }

  /** The place of the next `count` bytes, which must be there. */
  #next(count: number): number {
    if (!(count >= 0 && count <= this.left)) throw damaged(`${count} bytes are wanted where ${this.left} are left`);
    const { place } = this;
    this.place += count;
    return place;
  }

  skip(count: number): this {
    this.#next(count);
    return this;
  }

  u8 = (): number => this.#view.getUint8(this.#next(1));
  u16 = (): number => this.#view.getUint16(this.#next(2), true);
  u32 = (): number => this.#view.getUint32(this.#next(4), true);

  /** Eight bytes; undefined for the address that is none. */
  address(): number | undefined {
    const value = this.#view.getBigUint64(this.#next(8), true);
    return value === 0xffff_ffff_ffff_ffffn ? undefined : Number(value);
  }

  /** Eight bytes that are a length, or an address that must be one. */
  u64(): number {
    const value = this.address();
    if (value === undefined) throw damaged("an address that is needed is none");
    return value;
  }

  /** A number of so many bytes. */
  uint(size: number): number {
    const from = this.#next(size);
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + this.#bytes.all[from + i];
    return value;
  }

  take(count: number): Uint8Array {
    const from = this.#next(count);
    return this.#bytes.all.subarray(from, from + count);
  }

  letters = (count: number): string => String.fromCharCode(...this.take(count));

  /** The same part, to be read again. */
  copy(): Cursor {
    return new Cursor(this.#bytes, this.#view, this.place, this.end);
  }

  /** A part of what is left, as a place of its own. */
  inner(count: number): Cursor {
    const from = this.#next(count);
    return new Cursor(this.#bytes, this.#view, from, from + count);
  }
}

/** Text up to its first zero byte. */
export function textOf(bytes: Uint8Array): string {
  const zero = bytes.indexOf(0);
  return new TextDecoder().decode(zero < 0 ? bytes : bytes.subarray(0, zero));
}
