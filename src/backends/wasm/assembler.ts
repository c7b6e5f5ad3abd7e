/**
 * A WebAssembly assembler in which an instruction is an expression: `f32x4.add(x, f32x4.mul(a, b))`.
 * It knows types, locals and structured control, encodes what the kernels need, and nothing else: it does not
 * validate (the engine's own compiler does), optimise, or know any kernel.
 * Encoding: WebAssembly core specification 2.0, with the threads and relaxed-SIMD proposals.
 */

export type Type = "i32" | "i64" | "f32" | "f64" | "v128";

const TYPE_CODES: Record<Type, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };

/** An expression that leaves one value of type T on the stack: its bytes, ready to be emitted any number of times. */
export class Value<T extends Type | "none" = Type | "none"> {
  readonly type: T;
  readonly code: readonly number[];

  constructor(type: T, code: readonly number[]) {
    this.type = type;
    this.code = code;
  }
}

/** A parameter or variable of a function. */
export class Local<T extends Type = Type> extends Value<T> {
  readonly index: number;

  constructor(type: T, index: number) {
    super(type, [0x20, ...unsigned(index)]);
    this.index = index;
  }
}

export type I32 = Value<"i32">;
export type I64 = Value<"i64">;
export type F32 = Value<"f32">;
export type V128 = Value<"v128">;
export type Statement = Value<"none">;
/** A plain number stands for an i32 constant. */
export type Int = I32 | number;

/** Unsigned LEB128. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value >>> 0;
  do {
    const byte = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest ? byte | 0x80 : byte);
  } while (rest);
  return bytes;
}

/** Signed LEB128 of a 32-bit integer. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value | 0;
  for (;;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    if ((rest === 0 && !(byte & 0x40)) || (rest === -1 && byte & 0x40)) return [...bytes, byte];
    bytes.push(byte | 0x80);
  }
}

const utf8 = (text: string): number[] => vector([...new TextEncoder().encode(text)]);
const vector = (bytes: number[], count = bytes.length): number[] => [...unsigned(count), ...bytes];
const float32Bytes = (value: number): number[] => [...new Uint8Array(Float32Array.of(value).buffer)];
const int32Bytes = (value: number): number[] => [...new Uint8Array(Int32Array.of(value).buffer)];

const int = (value: Int): I32 => (typeof value === "number" ? new Value("i32", [0x41, ...signed(value)]) : value);

const SIMD = 0xfd;
const ATOMIC = 0xfe;
const simd = (op: number): number[] => [SIMD, ...unsigned(op)];

// Makers of instructions, by the number and type of their operands.
const intBinary =
  (op: number) =>
  (a: Int, b: Int): I32 =>
    new Value("i32", [...int(a).code, ...int(b).code, op]);
const vectorUnary =
  (op: number) =>
  (a: V128): V128 =>
    new Value("v128", [...a.code, ...simd(op)]);
const vectorBinary =
  (op: number) =>
  (a: V128, b: V128): V128 =>
    new Value("v128", [...a.code, ...b.code, ...simd(op)]);
const vectorTernary =
  (op: number) =>
  (a: V128, b: V128, c: V128): V128 =>
    new Value("v128", [...a.code, ...b.code, ...c.code, ...simd(op)]);
const vectorShift =
  (op: number) =>
  (a: V128, bits: Int): V128 =>
    new Value("v128", [...a.code, ...int(bits).code, ...simd(op)]);
const load =
  <T extends Type>(type: T, ...op: number[]) =>
  (address: Int, offset = 0): Value<T> =>
    new Value(type, [...int(address).code, ...op, 0, ...unsigned(offset)]);
const store =
  <T extends Type>(...op: number[]) =>
  (address: Int, value: Value<T>, offset = 0): Statement =>
    new Value("none", [...int(address).code, ...value.code, ...op, 0, ...unsigned(offset)]);
const atomic =
  (op: number) =>
  (address: Int, ...operands: (Int | I64)[]): number[] => [
    ...int(address).code,
    ...operands.flatMap((x) => [...(typeof x === "number" ? int(x) : x).code]),
    ATOMIC,
    op,
    2,
    0,
  ];

export const i32 = {
  const: (value: number): I32 => int(value),
  load: load("i32", 0x28),
  load8u: load("i32", 0x2d),
  store: (address: Int, value: Int, offset = 0): Statement => store<"i32">(0x36)(address, int(value), offset),
  eqz: (a: I32): I32 => new Value("i32", [...a.code, 0x45]),
  eq: intBinary(0x46),
  ne: intBinary(0x47),
  ltS: intBinary(0x48),
  ltU: intBinary(0x49),
  gtS: intBinary(0x4a),
  gtU: intBinary(0x4b),
  leU: intBinary(0x4d),
  geS: intBinary(0x4e),
  geU: intBinary(0x4f),
  add: intBinary(0x6a),
  sub: intBinary(0x6b),
  mul: intBinary(0x6c),
  divU: intBinary(0x6e),
  remU: intBinary(0x70),
  and: intBinary(0x71),
  or: intBinary(0x72),
  xor: intBinary(0x73),
  shl: intBinary(0x74),
  shrU: intBinary(0x76),
  /** `a` where `condition` is not 0, else `b`; both are computed. */
  select: (condition: I32, a: Int, b: Int): I32 =>
    new Value("i32", [...int(a).code, ...int(b).code, ...condition.code, 0x1b]),
  min: (a: I32, b: I32): I32 => i32.select(i32.ltU(a, b), a, b),
  truncF32U: (a: F32): I32 => new Value("i32", [...a.code, 0xfc, 1]),
  atomicLoad: (address: Int): I32 => new Value("i32", atomic(0x10)(address)),
  atomicStore: (address: Int, value: Int): Statement => new Value("none", atomic(0x17)(address, value)),
  /** Adds and gives the value that was there before. */
  atomicAdd: (address: Int, value: Int): I32 => new Value("i32", atomic(0x1e)(address, value)),
  /** Sleeps while the word at `address` equals `expected`, without a time limit. */
  atomicWait: (address: Int, expected: Int): I32 =>
    new Value("i32", atomic(0x01)(address, expected, new Value("i64", [0x42, 0x7f]))),
  atomicNotify: (address: Int, count: Int): I32 => new Value("i32", atomic(0x00)(address, count)),
};

export const f32 = {
  const: (value: number): F32 => new Value("f32", [0x43, ...float32Bytes(value)]),
  load: load("f32", 0x2a),
  store: store<"f32">(0x38),
  add: (a: F32, b: F32): F32 => new Value("f32", [...a.code, ...b.code, 0x92]),
  mul: (a: F32, b: F32): F32 => new Value("f32", [...a.code, ...b.code, 0x94]),
  gt: (a: F32, b: F32): I32 => new Value("i32", [...a.code, ...b.code, 0x5e]),
  ne: (a: F32, b: F32): I32 => new Value("i32", [...a.code, ...b.code, 0x5c]),
  sub: (a: F32, b: F32): F32 => new Value("f32", [...a.code, ...b.code, 0x93]),
  convertI32: (a: I32): F32 => new Value("f32", [...a.code, 0xb2]),
};

export const v128 = {
  load: load("v128", SIMD, 0x00),
  load32Splat: load("v128", SIMD, 0x09),
  load64Splat: load("v128", SIMD, 0x0a),
  /** Four unsigned bytes widened to the low half of eight 16-bit lanes, as part of eight. */
  load8x8u: load("v128", SIMD, 0x02),
  load32Zero: load("v128", SIMD, 0x5c),
  load64Zero: load("v128", SIMD, 0x5d),
  store: store<"v128">(SIMD, 0x0b),
  storeLane32: (address: Int, value: V128, lane: number, offset = 0): Statement =>
    new Value("none", [...int(address).code, ...value.code, SIMD, 0x5a, 0, ...unsigned(offset), lane]),
  storeLane64: (address: Int, value: V128, lane: number, offset = 0): Statement =>
    new Value("none", [...int(address).code, ...value.code, SIMD, 0x5b, 0, ...unsigned(offset), lane]),
  loadLane32: (address: Int, value: V128, lane: number, offset = 0): V128 =>
    new Value("v128", [...int(address).code, ...value.code, SIMD, 0x56, 0, ...unsigned(offset), lane]),
  constF32: (a: number, b = a, c = a, d = a): V128 =>
    new Value("v128", [SIMD, 0x0c, ...[a, b, c, d].flatMap(float32Bytes)]),
  constI32: (a: number, b = a, c = a, d = a): V128 =>
    new Value("v128", [SIMD, 0x0c, ...[a, b, c, d].flatMap(int32Bytes)]),
  /** Lanes 0–3 come from `a`, 4–7 from `b`. */
  shuffle32: (a: V128, b: V128, lanes: readonly number[]): V128 =>
    new Value("v128", [
      ...a.code,
      ...b.code,
      SIMD,
      0x0d,
      ...lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte)),
    ]),
  not: vectorUnary(0x4d),
  and: vectorBinary(0x4e),
  /** a & ~b */
  andnot: vectorBinary(0x4f),
  or: vectorBinary(0x50),
  xor: vectorBinary(0x51),
  /** The bits of `a` where `mask` is set, of `b` elsewhere. */
  bitselect: vectorTernary(0x52),
  anyTrue: (a: V128): I32 => new Value("i32", [...a.code, SIMD, 0x53]),
};

export const i16x8 = { extendLowU8: vectorUnary(0x89) };

export const i32x4 = {
  splat: (a: Int): V128 => new Value("v128", [...int(a).code, SIMD, 0x11]),
  extractLane: (a: V128, lane: number): I32 => new Value("i32", [...a.code, SIMD, 0x1b, lane]),
  extendLowU16: vectorUnary(0xa9),
  extendHighU16: vectorUnary(0xaa),
  eq: vectorBinary(0x37),
  ltS: vectorBinary(0x39),
  gtS: vectorBinary(0x3b),
  shl: vectorShift(0xab),
  shrS: vectorShift(0xac),
  shrU: vectorShift(0xad),
  add: vectorBinary(0xae),
  sub: vectorBinary(0xb1),
  mul: vectorBinary(0xb5),
  /** Rounds towards zero; what does not fit becomes the nearest integer that does, NaN becomes 0. */
  truncSatF32x4: vectorUnary(0xf8),
};

export const f32x4 = {
  splat: (a: F32): V128 => new Value("v128", [...a.code, SIMD, 0x13]),
  extractLane: (a: V128, lane: number): F32 => new Value("f32", [...a.code, SIMD, 0x1f, lane]),
  convertI32x4: vectorUnary(0xfa),
  eq: vectorBinary(0x41),
  ne: vectorBinary(0x42),
  lt: vectorBinary(0x43),
  gt: vectorBinary(0x44),
  le: vectorBinary(0x45),
  ge: vectorBinary(0x46),
  ceil: vectorUnary(0x67),
  floor: vectorUnary(0x68),
  nearest: vectorUnary(0x6a),
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

/** Something a function can call. */
export interface Callable {
  readonly index: number;
  readonly result: Type | "none";
}

/** A place that `branch` can jump to. */
interface Label {
  readonly depth: number;
}

/** The body of one function while it is being written. */
export class FunctionBuilder {
  readonly #parameterCount: number;
  readonly #locals: Type[] = [];
  readonly #constants = new Map<string, Local>();
  readonly #prologue: number[] = [];
  #code: number[] = [];
  #depth = 0;

  constructor(parameterCount: number) {
    this.#parameterCount = parameterCount;
  }

  /** A new variable, set to `initial` if one is given (else 0). */
  local<T extends Type>(type: T, initial?: Value<T>): Local<T> {
    const variable = new Local(type, this.#parameterCount + this.#locals.length);
    this.#locals.push(type);
    if (initial) this.set(variable, initial);
    return variable;
  }

  /** Computes `value` once, for use in several places. */
  let<T extends Type>(value: Value<T>): Local<T> {
    return value instanceof Local ? value : this.local(value.type, value);
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
      this.#prologue.push(...value.code, 0x21, ...unsigned(variable.index));
    }
    return variable as Local<T>;
  }

  set<T extends Type>(variable: Local<T>, value: Value<T>): void {
    this.#code.push(...value.code, 0x21, ...unsigned(variable.index));
  }

  add(variable: Local<"i32">, amount: Int): void {
    this.set(variable, i32.add(variable, amount));
  }

  emit(statement: Statement): void {
    for (const byte of statement.code) this.#code.push(byte);
  }

  drop(value: Value<Type>): void {
    this.#code.push(...value.code, 0x1a);
  }

  return(value: Value<Type>): void {
    this.#code.push(...value.code, 0x0f);
  }

  call(callee: Callable, ...operands: (Int | Value<Type>)[]): void {
    for (const x of operands) this.#code.push(...(typeof x === "number" ? int(x) : x).code);
    this.#code.push(0x10, ...unsigned(callee.index));
  }

  #structured(opcode: number, body: (label: Label) => void): void {
    this.#code.push(opcode, 0x40);
    this.#depth++;
    body({ depth: this.#depth });
    this.#depth--;
    this.#code.push(0x0b);
  }

  /** Runs the body; a branch to its label starts it again. */
  loop(body: (again: Label) => void): void {
    this.#structured(0x03, body);
  }

  /** Runs the body; a branch to its label leaves it. */
  block(body: (leave: Label) => void): void {
    this.#structured(0x02, body);
  }

  if(condition: I32, then: () => void, otherwise?: () => void): void {
    for (const byte of condition.code) this.#code.push(byte);
    this.#structured(0x04, () => {
      then();
      if (otherwise) {
        this.#code.push(0x05);
        otherwise();
      }
    });
  }

  branch(label: Label): void {
    this.#code.push(0x0c, ...unsigned(this.#depth - label.depth));
  }

  branchIf(condition: I32, label: Label): void {
    this.#code.push(...condition.code, 0x0d, ...unsigned(this.#depth - label.depth));
  }

  /** Repeats while `condition` holds; tested before the first round. */
  while(condition: I32, body: () => void): void {
    this.block((leave) => {
      this.loop((again) => {
        this.branchIf(i32.eqz(condition), leave);
        body();
        this.branch(again);
      });
    });
  }

  /** Counts `index` upwards from its present value, by `step`, while it is below `end`. */
  forUp(index: Local<"i32">, end: Int, step: number, body: () => void): void {
    this.while(i32.ltU(index, end), () => {
      body();
      this.add(index, step);
    });
  }

  /** Runs the body `count` times (known when the code is written): unrolled if once, else a counted loop. */
  repeat(count: number, body: () => void): void {
    if (count <= 0) return;
    if (count === 1) {
      body();
      return;
    }
    const left = this.local("i32", i32.const(count));
    this.loop((again) => {
      body();
      this.set(left, i32.sub(left, 1));
      this.branchIf(left, again);
    });
  }

  copyMemory(to: Int, from: Int, bytes: Int): void {
    this.#code.push(...int(to).code, ...int(from).code, ...int(bytes).code, 0xfc, 10, 0, 0);
  }

  fillMemory(to: Int, value: Int, bytes: Int): void {
    this.#code.push(...int(to).code, ...int(value).code, ...int(bytes).code, 0xfc, 11, 0);
  }

  encode(): number[] {
    const groups: number[] = [];
    let count = 0;
    for (let i = 0; i < this.#locals.length; ) {
      let end = i;
      while (this.#locals[end] === this.#locals[i]) end++;
      groups.push(...unsigned(end - i), TYPE_CODES[this.#locals[i]]);
      count++;
      i = end;
    }
    return [...vector(groups, count), ...this.#prologue, ...this.#code, 0x0b];
  }
}

type Parameters<P extends readonly Type[]> = { [K in keyof P]: Local<P[K]> };

/** A module with one imported memory (`env.memory`). */
export class ModuleBuilder {
  readonly #types = new Map<string, number>();
  readonly #typeBytes: number[] = [];
  readonly #functionTypes: number[] = [];
  readonly #bodies: number[][] = [];
  readonly #exports: number[] = [];
  #exportCount = 0;
  readonly #sharedMaximum: number | undefined;

  /** @param sharedMaximum the most pages the memory can have, if it is shared between threads */
  constructor(sharedMaximum?: number) {
    this.#sharedMaximum = sharedMaximum;
  }

  #type(parameters: readonly Type[], result: Type | "none"): number {
    const results = result === "none" ? [] : [result];
    const key = `${parameters}:${result}`;
    let index = this.#types.get(key);
    if (index === undefined) {
      index = this.#types.size;
      this.#types.set(key, index);
      const codes = (types: readonly Type[]) => vector(types.map((t) => TYPE_CODES[t]));
      this.#typeBytes.push(0x60, ...codes(parameters), ...codes(results));
    }
    return index;
  }

  /** Adds a function; `body` writes it. A function without a name can be called only from inside the module. */
  function<const P extends readonly Type[], R extends Type | "none">(
    signature: { parameters: P; result: R; export?: string },
    body: (f: FunctionBuilder, ...parameters: Parameters<P>) => void,
  ): Callable {
    const index = this.#functionTypes.length;
    this.#functionTypes.push(this.#type(signature.parameters, signature.result));
    this.#bodies.push([]);
    const f = new FunctionBuilder(signature.parameters.length);
    const locals = signature.parameters.map((type, i) => new Local(type, i));
    body(f, ...(locals as unknown as Parameters<P>));
    this.#bodies[index] = f.encode();
    if (signature.export !== undefined) {
      this.#exports.push(...utf8(signature.export), 0x00, ...unsigned(index));
      this.#exportCount++;
    }
    return { index, result: signature.result };
  }

  encode(): Uint8Array<ArrayBuffer> {
    const limits = this.#sharedMaximum === undefined ? [0x00, 0x01] : [0x03, 0x01, ...unsigned(this.#sharedMaximum)];
    const chunks: number[][] = [[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]];
    const section = (id: number, ...parts: number[][]) => {
      const size = parts.reduce((sum, part) => sum + part.length, 0);
      chunks.push([id, ...unsigned(size)], ...parts);
    };
    section(1, unsigned(this.#types.size), this.#typeBytes);
    section(2, unsigned(1), utf8("env"), utf8("memory"), [0x02, ...limits]);
    section(3, unsigned(this.#functionTypes.length), this.#functionTypes.flatMap(unsigned));
    section(7, unsigned(this.#exportCount), this.#exports);
    section(10, unsigned(this.#bodies.length), ...this.#bodies.flatMap((body) => [unsigned(body.length), body]));
    const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    let position = 0;
    for (const chunk of chunks) {
      bytes.set(chunk, position);
      position += chunk.length;
    }
    return bytes;
  }
}
