/**
 * Reads Python's pickles of plain data: a stack machine whose operations make numbers, texts, lists and dictionaries. Whatever a
 * pickle names beyond these is asked of the caller, who answers with a function of its own or refuses; nothing that a
 * file says is ever looked up or run. Each operation makes one value at most, so that memory follows the length of the file.
 * Read are the binary operations of protocols 2 to 5 (Python's pickletools describes them); dictionaries are `Map`s, tuples arrays.
 */

/** Something of Python's that the caller knows: what it gives for its arguments. */
export class PickleCall {
  readonly call: (args: readonly unknown[]) => unknown;

  constructor(call: (args: readonly unknown[]) => unknown) {
    this.call = call;
  }
}

/** What the caller knows. */
export interface PickleNames {
  /** The value of a name such as `collections.OrderedDict`; throws for those that are not known. */
  global(name: string): unknown;
  /** The value that an identifier from outside of the pickle stands for. */
  persistent(id: unknown): unknown;
  /** The error for a pickle that is damaged. */
  fail(why: string): Error;
}

/** How many lists, dictionaries and marks there may be; a network of ten thousand arrays has 60 thousand. */
const MOST_CONTAINERS = 2 ** 20;
/** The longest whole number that is read: 256 bits. */
const LONGEST_NUMBER = 32;

class Machine {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly names: PickleNames;
  readonly #memo = new Map<number, unknown>();
  /** The stack, and those that marks have put aside. */
  #stack: unknown[] = [];
  readonly #marked: unknown[][] = [];
  #containers = 0;
  at: number;
  isDone = false;

  constructor(bytes: Uint8Array, at: number, names: PickleNames) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.at = at;
    this.names = names;
  }

  damaged(why: string): Error {
    return this.names.fail(`${why} at byte ${this.at}`);
  }

  /** The place of the next `count` bytes, which are so read. */
  #next(count: number): number {
    const { at } = this;
    if (count > this.#bytes.length - at) throw this.damaged("it ends too early");
    this.at += count;
    return at;
  }

  take(count: number): Uint8Array {
    const from = this.#next(count);
    return this.#bytes.subarray(from, from + count);
  }

  byte(): number {
    return this.#bytes[this.#next(1)];
  }

  uint16(): number {
    return this.#view.getUint16(this.#next(2), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#next(4), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#next(4), true);
  }

  /** A length of 64 bits; what is too long for a number is too long for the file. */
  length(): number {
    return Number(this.#view.getBigUint64(this.#next(8), true));
  }

  float(): number {
    return this.#view.getFloat64(this.#next(8), false);
  }

  text(length: number, encoding = "utf-8"): string {
    return new TextDecoder(encoding).decode(this.take(length));
  }

  /** Up to the end of the line. */
  line(): string {
    const end = this.#bytes.indexOf(10, this.at);
    if (end < 0 || end - this.at > 1000) throw this.damaged("a name has no end");
    const text = this.text(end - this.at);
    this.at++;
    return text;
  }

  /** A whole number in two's complement, least byte first. */
  long(length: number): number | bigint {
    if (length > LONGEST_NUMBER) throw this.damaged(`a whole number of ${length} bytes`);
    const bytes = this.take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]);
    const signed = BigInt.asIntN(8 * length, value);
    return signed >= Number.MIN_SAFE_INTEGER && signed <= Number.MAX_SAFE_INTEGER ? Number(signed) : signed;
  }

  get isEmpty(): boolean {
    return this.#stack.length === 0;
  }

  end(): void {
    this.isDone = true;
  }

  #count(): void {
    if (++this.#containers > MOST_CONTAINERS) throw this.damaged(`more than ${MOST_CONTAINERS} lists and dictionaries`);
  }

  list(values: unknown[]): unknown[] {
    this.#count();
    return values;
  }

  dictionary(): Map<unknown, unknown> {
    this.#count();
    return new Map();
  }

  push(value: unknown): void {
    this.#stack.push(value);
  }

  pop(): unknown {
    if (this.#stack.length === 0) throw this.damaged("a value is missing");
    return this.#stack.pop();
  }

  top(): unknown {
    if (this.#stack.length === 0) throw this.damaged("a value is missing");
    return this.#stack[this.#stack.length - 1];
  }

  /** The last values, in their order. */
  last(count: number): unknown[] {
    if (this.#stack.length < count) throw this.damaged("a value is missing");
    return this.#stack.splice(this.#stack.length - count);
  }

  mark(): void {
    this.#count();
    this.#marked.push(this.#stack);
    this.#stack = [];
  }

  /** The values since the last mark. */
  sinceMark(): unknown[] {
    const values = this.#stack;
    const before = this.#marked.pop();
    if (!before) throw this.damaged("a mark is missing");
    this.#stack = before;
    return values;
  }

  remember(key = this.#memo.size): void {
    this.#memo.set(key, this.top());
  }

  remembered(key: number): unknown {
    if (!this.#memo.has(key)) throw this.damaged("a value is used before it is there");
    return this.#memo.get(key);
  }

  append(values: readonly unknown[]): void {
    const list = this.top();
    if (!Array.isArray(list)) throw this.damaged("values are put into what is no list");
    for (const value of values) list.push(value);
  }

  setItems(values: readonly unknown[]): void {
    const map = this.top();
    if (!(map instanceof Map) || values.length % 2 === 1)
      throw this.damaged("values are put into what is no dictionary");
    for (let i = 0; i < values.length; i += 2) map.set(values[i], values[i + 1]);
  }

  global(module: unknown, name: unknown): unknown {
    if (typeof module !== "string" || typeof name !== "string") throw this.damaged("a name is no text");
    return this.names.global(`${module}.${name}`);
  }
}

/** The operations, by their codes as letters. */
const OPERATIONS: Readonly<Record<string, (m: Machine) => void>> = {
  "\x80": (m) => m.byte(), // the protocol's number
  "\x95": (m) => m.take(8), // the length of what follows, for those who read in pieces
  ".": (m) => m.end(),

  N: (m) => m.push(null),
  "\x88": (m) => m.push(true),
  "\x89": (m) => m.push(false),
  J: (m) => m.push(m.int32()),
  K: (m) => m.push(m.byte()),
  M: (m) => m.push(m.uint16()),
  "\x8a": (m) => m.push(m.long(m.byte())),
  "\x8b": (m) => m.push(m.long(m.uint32())),
  G: (m) => m.push(m.float()),
  X: (m) => m.push(m.text(m.uint32())),
  "\x8c": (m) => m.push(m.text(m.byte())),
  "\x8d": (m) => m.push(m.text(m.length())),
  T: (m) => m.push(m.text(m.uint32(), "latin1")), // texts of Python 2
  U: (m) => m.push(m.text(m.byte(), "latin1")),
  B: (m) => m.push(m.take(m.uint32())),
  C: (m) => m.push(m.take(m.byte())),
  "\x8e": (m) => m.push(m.take(m.length())),

  "(": (m) => m.mark(),
  "0": (m) => (m.isEmpty ? m.sinceMark() : m.pop()),
  "1": (m) => m.sinceMark(),
  "2": (m) => m.push(m.top()),

  "]": (m) => m.push(m.list([])),
  ")": (m) => m.push(m.list([])),
  l: (m) => m.push(m.sinceMark()),
  t: (m) => m.push(m.sinceMark()),
  "\x85": (m) => m.push(m.list(m.last(1))),
  "\x86": (m) => m.push(m.list(m.last(2))),
  "\x87": (m) => m.push(m.list(m.last(3))),
  a: (m) => m.append([m.pop()]),
  e: (m) => m.append(m.sinceMark()),
  "}": (m) => m.push(m.dictionary()),
  d: (m) => {
    const values = m.sinceMark();
    m.push(m.dictionary());
    m.setItems(values);
  },
  s: (m) => m.setItems(m.last(2)),
  u: (m) => m.setItems(m.sinceMark()),

  q: (m) => m.remember(m.byte()),
  r: (m) => m.remember(m.uint32()),
  "\x94": (m) => m.remember(),
  h: (m) => m.push(m.remembered(m.byte())),
  j: (m) => m.push(m.remembered(m.uint32())),

  c: (m) => m.push(m.global(m.line(), m.line())),
  "\x93": (m) => {
    const [module, name] = m.last(2);
    m.push(m.global(module, name));
  },
  i: (m) => {
    m.global(m.line(), m.line()); // refused by its name, if it is not known
    throw m.damaged("a class is called, which plain data have not");
  },
  R: (m) => {
    const [called, args] = m.last(2);
    if (!(called instanceof PickleCall) || !Array.isArray(args))
      throw m.damaged("something is called that is no function");
    m.push(called.call(args));
  },
  b: (m) => {
    // Attributes of an ordered dictionary, such as the versions of a network's parts, are no part of what it holds.
    m.pop();
    if (!(m.top() instanceof Map)) throw m.damaged("attributes are set of what has none");
  },
  Q: (m) => m.push(m.names.persistent(m.pop())),
};

/** The value of the pickle that begins at a byte, and where it ends. */
export function readPickle(bytes: Uint8Array, at: number, names: PickleNames): { value: unknown; end: number } {
  const machine = new Machine(bytes, at, names);
  while (!machine.isDone) {
    const code = machine.byte();
    const letter = String.fromCharCode(code);
    if (!Object.hasOwn(OPERATIONS, letter))
      throw machine.damaged(`an operation 0x${code.toString(16)} that plain data have not`);
    OPERATIONS[letter](machine);
  }
  return { value: machine.pop(), end: machine.at };
}
