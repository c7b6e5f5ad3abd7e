/**
 * A WebAssembly assembler in which an instruction is an expression: `f32x4.add(x, f32x4.mul(a, b))`.
 * It knows types, locals and structured control, encodes what the kernels need, and nothing else: it does not
 * validate (the engine's own compiler does), optimise, or know any kernel.
 * Encoding: WebAssembly core specification 2.0, with the threads and relaxed-SIMD proposals.
 */

export type Type = "i32" | "i64" | "f32" | "v128";

const TYPE_CODES: Record<Type, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, v128: 0x7b };

/** An expression that leaves one value of type T on the stack: its operands, and what is done with them. */
export interface Value<T extends Type | "none" = Type | "none"> {
  readonly type: T;
  readonly opcode: readonly number[];
  readonly operands: readonly Operand[];
}

/** A parameter or variable of a function. */
export interface Local<T extends Type = Type> extends Value<T> {
  readonly index: number;
}

export type I32 = Value<"i32">;
export type F32 = Value<"f32">;
export type V128 = Value<"v128">;
export type Statement = Value<"none">;
/** A plain number stands for an i32 constant. */
export type Int = I32 | number;
type Operand = Value | number;
type Given<T extends Type> = Value<T> | (T extends "i32" ? number : never);

/** Unsigned LEB128. */
function unsigned(value: number): number[] {
  const rest = value >>> 7;
  return rest ? [(value & 0x7f) | 0x80, ...unsigned(rest)] : [value];
}

/** Signed LEB128 of a 32-bit integer. */
function signed(value: number): number[] {
  const rest = value >> 6;
  return rest === 0 || rest === -1 ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}

/** Appends the code of an expression. */
function append(code: number[], value: Operand): void {
  if (typeof value === "number") {
    code.push(0x41, ...signed(value));
    return;
  }
  for (const operand of value.operands) append(code, operand);
  for (const byte of value.opcode) code.push(byte);
}

const vector = (bytes: readonly number[]): number[] => unsigned(bytes.length).concat(bytes);
const list = (items: readonly (readonly number[])[]): number[] => unsigned(items.length).concat(...items);
const utf8 = (text: string): number[] => vector([...new TextEncoder().encode(text)]);

const make = <T extends Type | "none">(type: T, opcode: readonly number[], ...operands: Operand[]): Value<T> => ({
  type,
  opcode,
  operands,
});

const SIMD = 0xfd;

// Makers of instructions, by the type of their results.
type Maker = (...operands: never[]) => Value;
// Its type says which instruction it makes: a cast, since that is known to the tables below alone.
const instruction =
  <F extends Maker>(type: ReturnType<F>["type"], ...opcode: number[]) =>
  (...operands: Parameters<F>): ReturnType<F> =>
    ({ type, opcode, operands }) as unknown as ReturnType<F>;
const integer = <F extends Maker = (a: Int, b: Int) => I32>(opcode: number) => instruction<F>("i32", opcode);
const simd = <F extends Maker = (a: V128, b: V128) => V128>(opcode: number) =>
  instruction<F>("v128", SIMD, ...unsigned(opcode));
const atomic = <F extends Maker>(type: ReturnType<F>["type"], opcode: number) =>
  instruction<F>(type, 0xfe, opcode, 2, 0);
type Unary = (a: V128) => V128;
type Ternary = (a: V128, b: V128, c: V128) => V128;
type Shift = (a: V128, bits: Int) => V128;

/** Where something lies: known when the code is written, or so many bytes from a base that is known when it runs. */
export type Address = number | { readonly base: I32; readonly plus: number };

/** So many bytes further on. */
export const beyond = (address: Address, bytes: number): Address =>
  typeof address === "number" ? address + bytes : { base: address.base, plus: address.plus + bytes };

/** An address as a number to compute with. */
export const pointer = (address: Address): Int =>
  typeof address === "number" ? address : address.plus === 0 ? address.base : i32.add(address.base, address.plus);

// Access to memory, `index` bytes from the address. An instruction holds a part of it that is known and not negative.
const access = (opcode: readonly number[], index: Int, address: Address): [number[], Int] => {
  if (typeof address === "number") return [[...opcode, 0, ...unsigned(address)], index];
  const { base, plus } = address;
  const place = index === 0 ? base : i32.add(index, base);
  return plus < 0 ? access(opcode, i32.add(place, plus), 0) : access(opcode, place, plus);
};
const load =
  <T extends Type>(type: T, ...opcode: number[]) =>
  (index: Int, address: Address = 0): Value<T> =>
    make(type, ...access(opcode, index, address));
const store =
  <V extends Operand>(...opcode: number[]) =>
  (index: Int, value: V, address: Address = 0): Statement =>
    make("none", ...access(opcode, index, address), value);
const storeLane =
  (opcode: number) =>
  (index: Int, value: V128, lane: number, address: Address = 0): Statement => {
    const [code, place] = access([SIMD, opcode], index, address);
    return make("none", [...code, lane], place, value);
  };

const select = integer<(a: Int, b: Int, condition: I32) => I32>(0x1b);
const wait = atomic<(address: Int, expected: Int, nanoseconds: Value<"i64">) => I32>("i32", 0x01);
const assignment = ({ index }: Local, value: Operand): Statement => make("none", [0x21, ...unsigned(index)], value);
const constant = <T extends Type>(type: T, opcode: number[], array: ArrayBufferView): Value<T> =>
  make(type, [...opcode, ...new Uint8Array(array.buffer)]);

export const i32 = {
  load: load("i32", 0x28),
  store: store<Int>(0x36),
  eqz: integer<(a: I32) => I32>(0x45),
  eq: integer(0x46),
  ne: integer(0x47),
  ltS: integer(0x48),
  ltU: integer(0x49),
  gtS: integer(0x4a),
  gtU: integer(0x4b),
  geU: integer(0x4f),
  add: integer(0x6a),
  sub: integer(0x6b),
  mul: integer(0x6c),
  divU: integer(0x6e),
  remU: integer(0x70),
  and: integer(0x71),
  or: integer(0x72),
  shrU: integer(0x76),
  /** `a` where `condition` is not 0, else `b`; both are computed. */
  select: (condition: I32, a: Int, b: Int) => select(a, b, condition),
  atomicLoad: atomic<(address: Int) => I32>("i32", 0x10),
  atomicStore: atomic<(address: Int, value: Int) => Statement>("none", 0x17),
  /** Adds and gives the value that was there before. */
  atomicAdd: atomic<(address: Int, value: Int) => I32>("i32", 0x1e),
  /** Sleeps while the word at `address` equals `expected`, without a time limit. */
  atomicWait: (address: Int, expected: Int) => wait(address, expected, make("i64", [0x42, 0x7f])),
  atomicNotify: atomic<(address: Int, count: Int) => I32>("i32", 0x00),
};

export const f32 = {
  const: (value: number): F32 => constant("f32", [0x43], Float32Array.of(value)),
  load: load("f32", 0x2a),
  store: store<F32>(0x38),
  eq: integer<(a: F32, b: F32) => I32>(0x5b),
  ne: integer<(a: F32, b: F32) => I32>(0x5c),
  lt: integer<(a: F32, b: F32) => I32>(0x5d),
  gt: integer<(a: F32, b: F32) => I32>(0x5e),
  sub: instruction<(a: F32, b: F32) => F32>("f32", 0x93),
};

export const v128 = {
  load: load("v128", SIMD, 0x00),
  load8Splat: load("v128", SIMD, 0x07),
  load32Splat: load("v128", SIMD, 0x09),
  load32Zero: load("v128", SIMD, 0x5c),
  store: store<V128>(SIMD, 0x0b),
  storeLane32: storeLane(0x5a),
  storeLane64: storeLane(0x5b),
  constF32: (a: number): V128 => constant("v128", [SIMD, 0x0c], Float32Array.of(a, a, a, a)),
  constI32: (a: number, b = a, c = a, d = a): V128 => constant("v128", [SIMD, 0x0c], Int32Array.of(a, b, c, d)),
  /** Lanes 0–3 come from `a`, 4–7 from `b`. */
  shuffle32: (a: V128, b: V128, lanes: readonly number[]): V128 =>
    make("v128", [SIMD, 0x0d, ...lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte))], a, b),
  and: simd(0x4e),
  /** a & ~b */
  andnot: simd(0x4f),
  or: simd(0x50),
  xor: simd(0x51),
  /** The bits of `a` where `mask` is set, of `b` elsewhere. */
  bitselect: simd<Ternary>(0x52),
};

export const f64x2 = {
  splat: (value: number): V128 => constant("v128", [SIMD, 0x0c], Float64Array.of(value, value)),
  /** The first two floats in double precision. */
  promoteLowF32x4: simd<Unary>(0x5f),
  nearest: simd<Unary>(0x94),
  mul: simd(0xf2),
  sub: simd(0xf1),
};

export const i16x8 = { extendLowU8: simd<Unary>(0x89) };

export const i32x4 = {
  splat: simd<(a: Int) => V128>(0x11),
  extendLowU16: simd<Unary>(0xa9),
  eq: simd(0x37),
  shl: simd<Shift>(0xab),
  shrS: simd<Shift>(0xac),
  shrU: simd<Shift>(0xad),
  add: simd(0xae),
  sub: simd(0xb1),
  minS: simd(0xb6),
  /** Rounds towards zero; what does not fit becomes the nearest integer that does, NaN becomes 0. */
  truncSatF32x4: simd<Unary>(0xf8),
  /** Two doubles as integers, then two zeros. */
  truncSatF64x2: simd<Unary>(0xfc),
};

export const f32x4 = {
  extractLane: (a: V128, lane: number): F32 => make("f32", [SIMD, 0x1f, lane], a),
  convertI32x4: simd<Unary>(0xfa),
  /** Two doubles as floats, then two zeros. */
  demoteF64x2: simd<Unary>(0x5e),
  eq: simd(0x41),
  ne: simd(0x42),
  lt: simd(0x43),
  le: simd(0x45),
  floor: simd<Unary>(0x68),
  abs: simd<Unary>(0xe0),
  neg: simd<Unary>(0xe1),
  sqrt: simd<Unary>(0xe3),
  add: simd(0xe4),
  sub: simd(0xe5),
  mul: simd(0xe6),
  div: simd(0xe7),
  min: simd(0xe8),
  max: simd(0xe9),
  /** b < a ? b : a, in one machine instruction: NaN in `a` stays NaN. */
  pmin: simd(0xea),
  /** a < b ? b : a, in one machine instruction: NaN in `a` stays NaN. */
  pmax: simd(0xeb),
  /** a · b + c with one rounding where the processor has it (relaxed SIMD). */
  relaxedMadd: simd<Ternary>(0x105),
};

/** A function's parameter, by its number, for code that is prepared before the function is begun. */
export const parameter = <T extends Type>(type: T, index: number): Local<T> => ({
  ...make(type, [0x20, ...unsigned(index)]),
  index,
});

/** A place that `branch` can jump to: how deep in the structure it is. */
type Label = number;

/** The body of one function while it is being written. */
export class FunctionBuilder {
  readonly #locals: Type[] = [];
  readonly #constants = new Map<string, { variable: Local; value: Value }>();
  readonly #code: Value[] = [];
  #depth = 0;

  #push(opcode: readonly number[], ...operands: Operand[]): void {
    this.#code.push(make("none", opcode, ...operands));
  }

  /** A new variable, set to `initial` if one is given (else 0). */
  local<T extends Type>(type: T, initial?: Given<T>): Local<T> {
    const variable = parameter(type, this.#locals.push(type) - 1);
    if (initial !== undefined) this.set(variable, initial);
    return variable;
  }

  /** Computes `value` once, for use in several places. */
  let<T extends Type>(value: Value<T>): Local<T> {
    return "index" in value ? (value as Local<T>) : this.local(value.type, value as Given<T>);
  }

  /** The smaller of two unsigned integers. */
  min(a: I32, b: Int): Local<"i32"> {
    const x = this.let(a);
    return this.let(i32.select(i32.ltU(x, b), x, b));
  }

  /**
   * A variable that has the value of a constant from the start of the function on; equal constants share one. Inside of
   * loops it is faster than the constant itself, which V8 builds anew, with three instructions, at each use.
   */
  constant<T extends Type>(value: Value<T>): Local<T> {
    const key = value.opcode.join();
    let found = this.#constants.get(key);
    if (!found) {
      found = { variable: this.local(value.type), value };
      this.#constants.set(key, found);
    }
    return found.variable as Local<T>;
  }

  set<T extends Type>(variable: Local<T>, value: Given<T>): void {
    this.emit(assignment(variable, value));
  }

  add(variable: Local<"i32">, amount: Int): void {
    this.set(variable, i32.add(variable, amount));
  }

  emit(statement: Statement): void {
    this.#code.push(statement);
  }

  drop(value: Value<Type>): void {
    this.#push([0x1a], value);
  }

  return(value: Value<Type>): void {
    this.#push([0x0f], value);
  }

  /** Stops the run with an error. */
  trap(): void {
    this.#push([0x00]);
  }

  /** Calls the function that `ModuleBuilder` gave this number. */
  call(callee: number, ...operands: Operand[]): void {
    this.#push([0x10, ...unsigned(callee)], ...operands);
  }

  #structured(opcode: number, body: (label: Label) => void, ...operands: Operand[]): void {
    this.#push([opcode, 0x40], ...operands);
    body(++this.#depth);
    this.#depth--;
    this.#push([0x0b]);
  }

  #branch(opcode: number, label: Label, ...condition: Operand[]): void {
    this.#push([opcode, ...unsigned(this.#depth - label)], ...condition);
  }

  if(condition: I32, then: () => void, otherwise?: () => void): void {
    const body = () => {
      then();
      if (otherwise) {
        this.#push([0x05]);
        otherwise();
      }
    };
    this.#structured(0x04, body, condition);
  }

  /** Repeats while `condition` holds; tested before the first round. */
  while(condition: I32, body: () => void): void {
    this.#structured(0x02, (leave) => {
      this.#structured(0x03, (again) => {
        this.#branch(0x0d, leave, i32.eqz(condition));
        body();
        this.#branch(0x0c, again);
      });
    });
  }

  /** Counts an index upwards from `begin`, by `step`, while it is below `end`; gives it. */
  forUp(begin: Int, end: Int, step: number, body: (index: Local<"i32">) => void): Local<"i32"> {
    const index = this.local("i32", begin);
    this.while(i32.ltU(index, end), () => {
      body(index);
      this.add(index, step);
    });
    return index;
  }

  /** Runs the body `count` times; without a loop if it is known to be once, or never, when the code is written. */
  repeat(count: Int, body: () => void): void {
    if (count === 0) return;
    if (count === 1) {
      body();
      return;
    }
    const left = this.local("i32", count);
    const round = () => {
      body();
      this.set(left, i32.sub(left, 1));
    };
    if (typeof count !== "number") this.while(left, round);
    else
      this.#structured(0x03, (again) => {
        round();
        this.#branch(0x0d, again, left);
      });
  }

  copyMemory(to: Int, from: Int, bytes: Int): void {
    this.#push([0xfc, 10, 0, 0], to, from, bytes);
  }

  fillMemory(to: Int, value: Int, bytes: Int): void {
    this.#push([0xfc, 11, 0], to, value, bytes);
  }

  /** The function's code; the first locals are its parameters. */
  encode(parameterCount: number): number[] {
    const code = list(this.#locals.slice(parameterCount).map((type) => [1, TYPE_CODES[type]]));
    for (const { variable, value } of this.#constants.values()) append(code, assignment(variable, value));
    for (const value of this.#code) append(code, value);
    code.push(0x0b);
    return code;
  }
}

type Locals<P extends readonly Type[]> = { [K in keyof P]: Local<P[K]> };

interface Signature<P extends readonly Type[] = readonly Type[]> {
  readonly parameters: P;
  readonly result: Type | "none";
  /** The name under which it is exported. */
  readonly export: string;
}

/** A module with one imported memory (`env.memory`). */
export class ModuleBuilder {
  readonly #functions: { readonly signature: Signature; readonly code: number[] }[] = [];

  /** Adds a function, which `body` writes; gives its number. */
  function<const P extends readonly Type[]>(
    signature: Signature<P>,
    body: (f: FunctionBuilder, ...parameters: Locals<P>) => void,
  ): number {
    const { parameters } = signature;
    const f = new FunctionBuilder();
    // `map` forgets that the list is a tuple.
    body(f, ...(parameters.map((type) => f.local(type)) as unknown as Locals<P>));
    return this.#functions.push({ signature, code: f.encode(parameters.length) }) - 1;
  }

  /** @param sharedMaximum the most pages the memory can have, if it is shared between threads */
  encode(sharedMaximum?: number): Uint8Array<ArrayBuffer> {
    const limits = sharedMaximum === undefined ? [0, 1] : [3, 1, ...unsigned(sharedMaximum)];
    const functions = this.#functions;
    const types = (...types: (Type | "none")[]) =>
      vector(types.flatMap((type) => (type === "none" ? [] : TYPE_CODES[type])));
    const sections: Record<number, readonly (readonly number[])[]> = {
      1: functions.map(({ signature: { parameters, result } }) => [0x60, ...types(...parameters), ...types(result)]),
      2: [[...utf8("env"), ...utf8("memory"), 0x02, ...limits]],
      3: functions.map((_, i) => unsigned(i)),
      7: functions.map(({ signature }, i) => [...utf8(signature.export), 0x00, ...unsigned(i)]),
      10: functions.map(({ code }) => vector(code)),
    };
    const encoded = Object.entries(sections).map(([id, items]) => [Number(id)].concat(vector(list(items))));
    return new Uint8Array([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00].concat(...encoded));
  }
}
