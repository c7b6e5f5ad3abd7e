/**
 * A WebAssembly assembler in which an instruction is an expression: `f32x4.add(x, f32x4.mul(a, b))`.
 * It knows types, locals and structured control, encodes what the kernels need, and nothing else: it does not
 * validate (the engine's own compiler does), optimise, or know any kernel.
 * Encoding: WebAssembly core specification 2.0, with the threads and relaxed-SIMD proposals.
 */

export type Type = "i32" | "i64" | "f32" | "v128";

const TYPE_CODES: Record<Type, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, v128: 0x7b };

/** An expression that leaves one value of type T on the stack: its bytes, with operands as they are. */
export interface Value<T extends Type | "none" = Type | "none"> {
  readonly type: T;
  readonly code: Code;
}

type Code = readonly (number | Value)[];

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

/** Appends code, its operands' in place of them. */
function append(bytes: number[], code: Code): number[] {
  for (const part of code) {
    if (typeof part === "number") bytes.push(part);
    else append(bytes, part.code);
  }
  return bytes;
}

const bytesOf = (array: ArrayBufferView): number[] => [...new Uint8Array(array.buffer)];
const vector = (bytes: readonly number[]): number[] => [...unsigned(bytes.length), ...bytes];
const list = (items: readonly (readonly number[])[]): number[] => unsigned(items.length).concat(...items);
const utf8 = (text: string): number[] => vector([...new TextEncoder().encode(text)]);

const int = <V extends Value>(value: V | number): V | I32 =>
  typeof value === "number" ? { type: "i32", code: [0x41, ...signed(value)] } : value;

const SIMD = 0xfd;

/** Makes a maker of instructions: operands first, then the code of what is done with them. */
const instruction =
  <F extends (...operands: never[]) => Value>(type: ReturnType<F>["type"], ...opcode: number[]) =>
  (...operands: Parameters<F>): ReturnType<F> =>
    ({ type, code: [...operands.map(int), ...opcode] }) as unknown as ReturnType<F>;

const intBinary = (opcode: number) => instruction<(a: Int, b: Int) => I32>("i32", opcode);
const floatTest = (opcode: number) => instruction<(a: F32, b: F32) => I32>("i32", opcode);
const simd = <F extends (...operands: never[]) => V128>(opcode: number) =>
  instruction<F>("v128", SIMD, ...unsigned(opcode));
const vectorUnary = (opcode: number) => simd<(a: V128) => V128>(opcode);
const vectorBinary = (opcode: number) => simd<(a: V128, b: V128) => V128>(opcode);
const vectorTernary = (opcode: number) => simd<(a: V128, b: V128, c: V128) => V128>(opcode);
const vectorShift = (opcode: number) => simd<(a: V128, bits: Int) => V128>(opcode);

/** Instructions that access memory, at `offset` bytes from the address. */
const load =
  <T extends Type>(type: T, ...opcode: number[]) =>
  (address: Int, offset = 0): Value<T> => ({ type, code: [int(address), ...opcode, 0, ...unsigned(offset)] });
const store =
  <V extends Int | Value>(...opcode: number[]) =>
  (address: Int, value: V, offset = 0): Statement => ({
    type: "none",
    code: [int(address), int(value), ...opcode, 0, ...unsigned(offset)],
  });
const storeLane =
  (opcode: number) =>
  (address: Int, value: V128, lane: number, offset = 0): Statement => ({
    type: "none",
    code: [...store(SIMD, opcode)(address, value, offset).code, lane],
  });
const select = instruction<(a: Int, b: Int, condition: I32) => I32>("i32", 0x1b);
const atomic = <F extends (...operands: never[]) => Value>(type: ReturnType<F>["type"], opcode: number) =>
  instruction<F>(type, 0xfe, opcode, 2, 0);
const wait = atomic<(address: Int, expected: Int, nanoseconds: Value<"i64">) => I32>("i32", 0x01);
const assignment = (variable: Local, value: Value | number): Statement => ({
  type: "none",
  code: [int(value), 0x21, ...unsigned(variable.index)],
});

export const i32 = {
  load: load("i32", 0x28),
  store: store<Int>(0x36),
  eqz: instruction<(a: I32) => I32>("i32", 0x45),
  eq: intBinary(0x46),
  ne: intBinary(0x47),
  ltS: intBinary(0x48),
  ltU: intBinary(0x49),
  gtU: intBinary(0x4b),
  add: intBinary(0x6a),
  sub: intBinary(0x6b),
  mul: intBinary(0x6c),
  divU: intBinary(0x6e),
  remU: intBinary(0x70),
  shrU: intBinary(0x76),
  /** `a` where `condition` is not 0, else `b`; both are computed. */
  select: (condition: I32, a: Int, b: Int) => select(a, b, condition),
  atomicLoad: atomic<(address: Int) => I32>("i32", 0x10),
  atomicStore: atomic<(address: Int, value: Int) => Statement>("none", 0x17),
  /** Adds and gives the value that was there before. */
  atomicAdd: atomic<(address: Int, value: Int) => I32>("i32", 0x1e),
  /** Sleeps while the word at `address` equals `expected`, without a time limit. */
  atomicWait: (address: Int, expected: Int) => wait(address, expected, { type: "i64", code: [0x42, 0x7f] }),
  atomicNotify: atomic<(address: Int, count: Int) => I32>("i32", 0x00),
};

export const f32 = {
  const: (value: number): F32 => ({ type: "f32", code: [0x43, ...bytesOf(Float32Array.of(value))] }),
  load: load("f32", 0x2a),
  store: store<F32>(0x38),
  ne: floatTest(0x5c),
  gt: floatTest(0x5e),
  sub: instruction<(a: F32, b: F32) => F32>("f32", 0x93),
};

const constant = (lanes: ArrayBufferView): V128 => ({ type: "v128", code: [SIMD, 0x0c, ...bytesOf(lanes)] });

export const v128 = {
  load: load("v128", SIMD, 0x00),
  load8Splat: load("v128", SIMD, 0x07),
  load32Splat: load("v128", SIMD, 0x09),
  load32Zero: load("v128", SIMD, 0x5c),
  store: store<V128>(SIMD, 0x0b),
  storeLane32: storeLane(0x5a),
  storeLane64: storeLane(0x5b),
  constF32: (a: number): V128 => constant(Float32Array.of(a, a, a, a)),
  constI32: (a: number, b = a, c = a, d = a): V128 => constant(Int32Array.of(a, b, c, d)),
  /** Lanes 0–3 come from `a`, 4–7 from `b`. */
  shuffle32: (a: V128, b: V128, lanes: readonly number[]): V128 => ({
    type: "v128",
    code: [a, b, SIMD, 0x0d, ...lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte))],
  }),
  and: vectorBinary(0x4e),
  /** a & ~b */
  andnot: vectorBinary(0x4f),
  or: vectorBinary(0x50),
  xor: vectorBinary(0x51),
  /** The bits of `a` where `mask` is set, of `b` elsewhere. */
  bitselect: vectorTernary(0x52),
};

export const i16x8 = { extendLowU8: vectorUnary(0x89) };

export const i32x4 = {
  splat: simd<(a: Int) => V128>(0x11),
  extendLowU16: vectorUnary(0xa9),
  shl: vectorShift(0xab),
  shrS: vectorShift(0xac),
  shrU: vectorShift(0xad),
  add: vectorBinary(0xae),
  sub: vectorBinary(0xb1),
  /** Rounds towards zero; what does not fit becomes the nearest integer that does, NaN becomes 0. */
  truncSatF32x4: vectorUnary(0xf8),
};

export const f32x4 = {
  extractLane: (a: V128, lane: number): F32 => ({ type: "f32", code: [a, SIMD, 0x1f, lane] }),
  convertI32x4: vectorUnary(0xfa),
  eq: vectorBinary(0x41),
  ne: vectorBinary(0x42),
  lt: vectorBinary(0x43),
  le: vectorBinary(0x45),
  floor: vectorUnary(0x68),
  abs: vectorUnary(0xe0),
  neg: vectorUnary(0xe1),
  sqrt: vectorUnary(0xe3),
  add: vectorBinary(0xe4),
  sub: vectorBinary(0xe5),
  mul: vectorBinary(0xe6),
  div: vectorBinary(0xe7),
  min: vectorBinary(0xe8),
  max: vectorBinary(0xe9),
  /** b < a ? b : a, in one machine instruction: NaN in `a` stays NaN. */
  pmin: vectorBinary(0xea),
  /** a < b ? b : a, in one machine instruction: NaN in `a` stays NaN. */
  pmax: vectorBinary(0xeb),
  /** a · b + c with one rounding where the processor has it (relaxed SIMD). */
  relaxedMadd: vectorTernary(0x105),
};

/** A place that `branch` can jump to: how deep in the structure it is. */
type Label = number;

/** The body of one function while it is being written. */
export class FunctionBuilder {
  readonly #locals: Type[] = [];
  readonly #constants = new Map<string, Local>();
  readonly #prologue: Value[] = [];
  readonly #code: (number | Value)[] = [];
  #depth = 0;

  /** A new variable, set to `initial` if one is given (else 0). */
  local<T extends Type>(type: T, initial?: Given<T>): Local<T> {
    const index = this.#locals.push(type) - 1;
    const variable = { type, code: [0x20, ...unsigned(index)], index };
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
    const key = value.code.join();
    let variable = this.#constants.get(key);
    if (!variable) {
      variable = this.local(value.type);
      this.#constants.set(key, variable);
      this.#prologue.push(assignment(variable, value));
    }
    return variable as Local<T>;
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
    this.#code.push(value, 0x1a);
  }

  return(value: Value<Type>): void {
    this.#code.push(value, 0x0f);
  }

  /** Calls the function that `ModuleBuilder` gave this number. */
  call(callee: number, ...operands: (Int | Value<Type>)[]): void {
    this.#code.push(...operands.map(int), 0x10, ...unsigned(callee));
  }

  #structured(opcode: number, body: (label: Label) => void): void {
    this.#code.push(opcode, 0x40);
    body(++this.#depth);
    this.#depth--;
    this.#code.push(0x0b);
  }

  /** Runs the body; a branch to its label starts it again. */
  #loop(body: (again: Label) => void): void {
    this.#structured(0x03, body);
  }

  if(condition: I32, then: () => void, otherwise?: () => void): void {
    this.#code.push(condition);
    this.#structured(0x04, () => {
      then();
      if (otherwise) {
        this.#code.push(0x05);
        otherwise();
      }
    });
  }

  #branchIf(condition: I32, label: Label): void {
    this.#code.push(condition, 0x0d, ...unsigned(this.#depth - label));
  }

  /** Repeats while `condition` holds; tested before the first round. */
  while(condition: I32, body: () => void): void {
    this.#structured(0x02, (leave) => {
      this.#loop((again) => {
        this.#branchIf(i32.eqz(condition), leave);
        body();
        this.#code.push(0x0c, ...unsigned(this.#depth - again));
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
      this.#loop((again) => {
        round();
        this.#branchIf(left, again);
      });
  }

  copyMemory(to: Int, from: Int, bytes: Int): void {
    this.#code.push(int(to), int(from), int(bytes), 0xfc, 10, 0, 0);
  }

  fillMemory(to: Int, value: Int, bytes: Int): void {
    this.#code.push(int(to), int(value), int(bytes), 0xfc, 11, 0);
  }

  /** The function's code; the first locals are its parameters. */
  encode(parameterCount: number): number[] {
    const own = this.#locals.slice(parameterCount).map((type) => [1, TYPE_CODES[type]]);
    return append(list(own), [...this.#prologue, ...this.#code, 0x0b]);
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
    body(f, ...(parameters.map((type) => f.local(type)) as unknown as Locals<P>));
    return this.#functions.push({ signature, code: f.encode(parameters.length) }) - 1;
  }

  /** @param sharedMaximum the most pages the memory can have, if it is shared between threads */
  encode(sharedMaximum?: number): Uint8Array<ArrayBuffer> {
    const limits = sharedMaximum === undefined ? [0, 1] : [3, 1, ...unsigned(sharedMaximum)];
    const functions = this.#functions;
    const types = (...types: (Type | "none")[]) => types.flatMap((type) => (type === "none" ? [] : TYPE_CODES[type]));
    const section = (id: number, items: readonly (readonly number[])[]) => [id, ...vector(list(items))];
    return new Uint8Array([
      ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
      ...section(
        1,
        functions.map(({ signature: { parameters, result } }) => [
          0x60,
          ...vector(types(...parameters)),
          ...vector(types(result)),
        ]),
      ),
      ...section(2, [[...utf8("env"), ...utf8("memory"), 0x02, ...limits]]),
      ...section(
        3,
        functions.map((_, i) => unsigned(i)),
      ),
      ...section(
        7,
        functions.map(({ signature }, i) => [...utf8(signature.export), 0x00, ...unsigned(i)]),
      ),
      ...section(
        10,
        functions.map(({ code }) => vector(code)),
      ),
    ]);
  }
}
