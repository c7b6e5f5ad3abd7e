/**
 * Tensors as PyTorch's pickles describe them: a view of a storage, with an offset, a shape and a distance for each axis. Which of Python's
 * names such a pickle may hold is said here, and there are no others. Elements are read only when a tensor is asked for.
 */
import { isObject, show } from "../../checks.ts";
import { countElements, type ElementType, type TypedArray } from "../../data/arrays.ts";
import { ELEMENT_TYPES } from "../../data/element-types.ts";
import { PickleCall } from "./pickle.ts";

/** A type of elements, by the name that safetensors has for it. */
interface TorchType {
  readonly dtype: string;
  readonly type: ElementType;
}

const typed = (dtype: string, type: ElementType): TorchType => ({ dtype, type });
const F64 = typed("F64", ELEMENT_TYPES.f8);
const F32 = typed("F32", ELEMENT_TYPES.f4);
const F16 = typed("F16", ELEMENT_TYPES.f2);
const BF16 = typed("BF16", ELEMENT_TYPES.bf2);
const I64 = typed("I64", ELEMENT_TYPES.i8);
const I32 = typed("I32", ELEMENT_TYPES.i4);
const I16 = typed("I16", ELEMENT_TYPES.i2);
const I8 = typed("I8", ELEMENT_TYPES.i1);
const U8 = typed("U8", ELEMENT_TYPES.u1);
const BOOL = typed("BOOL", ELEMENT_TYPES.u1);

/** PyTorch's storages by their names, each of one type; `Untyped` ones are bytes. */
const STORAGES: Readonly<Record<string, TorchType>> = {
  Double: F64,
  Float: F32,
  Half: F16,
  BFloat16: BF16,
  Long: I64,
  Int: I32,
  Short: I16,
  Char: I8,
  Byte: U8,
  Bool: BOOL,
  Untyped: U8,
};

/** PyTorch's types by their names, which newer files give beside a storage of bytes. */
const TYPES: Readonly<Record<string, TorchType>> = {
  float64: F64,
  float32: F32,
  float16: F16,
  bfloat16: BF16,
  int64: I64,
  int32: I32,
  int16: I16,
  int8: I8,
  uint8: U8,
  bool: BOOL,
  uint16: typed("U16", ELEMENT_TYPES.u2),
  uint32: typed("U32", ELEMENT_TYPES.u4),
  uint64: typed("U64", ELEMENT_TYPES.u8),
};

/** A storage that a pickle names; its bytes lie elsewhere in the file. */
export interface StorageRef {
  readonly key: string;
  readonly type: TorchType;
  /** Where it begins in what lies under the key, in elements. */
  readonly start: number;
  /** How many elements it has. */
  readonly length: number;
}

/** A tensor whose elements have not been read. */
export class TensorRef {
  readonly storage: StorageRef;
  readonly type: TorchType;
  readonly offset: number;
  readonly shape: number[];
  readonly strides: readonly number[];

  constructor(storage: StorageRef, type: TorchType, offset: number, shape: number[], strides: readonly number[]) {
    this.storage = storage;
    this.type = type;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }

  get count(): number {
    return countElements(this.shape)!;
  }

  /** Tells tensors apart by what they show of what. */
  get key(): string {
    return [this.storage.key, this.storage.start, this.type.dtype, this.offset, this.shape, this.strides].join("|");
  }

  /** The elements, of the bytes under the storage's key: a copy, last axis fastest. */
  read(bytes: Uint8Array, bigEndian: boolean): TypedArray {
    const { count, shape, strides, type } = this;
    const { size } = type.type;
    const begin = this.storage.start * this.storage.type.type.size + this.offset * size;
    if (isDense(shape, strides)) {
      const part = bytes.subarray(begin, begin + count * size);
      return type.type.read(size === 1 ? new Uint8Array(part) : part, bigEndian); // of bytes, `read` gives a view
    }
    const ordered = new Uint8Array(count * size);
    const position = shape.map(() => 0);
    for (let i = 0, from = 0; i < count; i++) {
      ordered.set(bytes.subarray(begin + from * size, begin + (from + 1) * size), i * size);
      for (let axis = shape.length - 1; axis >= 0; axis--) {
        from += strides[axis];
        if (++position[axis] < shape[axis]) break;
        from -= strides[axis] * shape[axis];
        position[axis] = 0;
      }
    }
    return type.type.read(ordered, bigEndian);
  }
}

/** Whether elements lie as they are read: last axis fastest, without gaps. */
function isDense(shape: readonly number[], strides: readonly number[]): boolean {
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] > 1 && strides[axis] !== step) return false;
    step *= shape[axis];
  }
  return true;
}

type Fail = (why: string) => Error;

const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
const areCounts = (list: unknown): list is number[] => Array.isArray(list) && list.length <= 64 && list.every(isCount);
const isType = (value: unknown): value is TorchType => isObject(value) && "dtype" in value;

const isStorage = (value: unknown): value is StorageRef => isObject(value) && "start" in value;

/** The storage of a persistent identifier: ("storage", type, key, device, elements, part of another). */
export function storageOf(id: unknown, fail: Fail): StorageRef {
  const [kind, type, key, , count, view] = Array.isArray(id) ? id : [];
  if (kind !== "storage" || !isType(type) || typeof key !== "string" || !isCount(count))
    throw fail(`a storage is described as ${show(id)}`);
  if (view === undefined || view === null) return { key, type, start: 0, length: count };
  const [, start, length] = Array.isArray(view) ? view : [];
  if (!isCount(start) || !isCount(length) || start + length > count)
    throw fail(`a part of a storage is described as ${show(view)}`);
  return { key, type, start, length };
}

/** A tensor of a storage, a place in it, lengths and distances; checked against the storage. */
function rebuild(args: readonly unknown[], fail: Fail, given?: unknown): TensorRef {
  const [storage, offset, shape, strides] = args;
  const type = given ?? (storage as StorageRef)?.type;
  const fits = isStorage(storage) && isType(type) && isCount(offset) && areCounts(shape) && areCounts(strides);
  const count = fits ? countElements(shape) : undefined;
  if (!fits || count === undefined || shape.length !== strides.length)
    throw fail(`a tensor has the shape ${show(shape)} and the strides ${show(strides)}`);
  const room = Math.floor((storage.length * storage.type.type.size) / type.type.size);
  const last = shape.reduce((sum, n, axis) => sum + (n - 1) * strides[axis], offset);
  if (count > 0 && last >= room)
    throw fail(`a tensor of shape ${show(shape)} reaches beyond its storage of ${room} elements`);
  // A tensor that repeats its storage could ask for any amount of memory.
  if (count > room)
    throw fail(`a tensor of shape ${show(shape)} has only ${room} elements, repeated; save it after .contiguous()`);
  return new TensorRef(storage, type, offset, [...shape], [...strides]);
}

/** The value of one of Python's names in a file of PyTorch; undefined for those that are not known. */
export function torchGlobal(name: string, fail: Fail): unknown {
  const short = name.replace(/^torch\.(cuda\.|storage\.)?/, "");
  if (short !== name) {
    const storage = short.replace(/Storage$/, "");
    if (storage !== short && Object.hasOwn(STORAGES, storage)) return STORAGES[storage];
    if (`torch.${short}` === name && Object.hasOwn(TYPES, short)) return TYPES[short];
  }
  switch (name) {
    case "collections.OrderedDict":
      return new PickleCall(([pairs = []]) => {
        const isPair = (pair: unknown): pair is [unknown, unknown] => Array.isArray(pair) && pair.length === 2;
        if (!Array.isArray(pairs) || !pairs.every(isPair))
          throw fail("an ordered dictionary is made of what are no pairs");
        return new Map(pairs);
      });
    case "torch.Size":
      return new PickleCall(([sizes]) => sizes);
    case "torch._utils._rebuild_tensor":
    case "torch._utils._rebuild_tensor_v2":
      return new PickleCall((args) => rebuild(args, fail));
    case "torch._utils._rebuild_tensor_v3":
      return new PickleCall((args) => rebuild(args, fail, args[6] ?? false));
    case "torch._utils._rebuild_parameter":
    case "torch._utils._rebuild_parameter_with_state":
      return new PickleCall(([tensor]) => {
        if (!(tensor instanceof TensorRef)) throw fail("a parameter is made of what is no tensor");
        return tensor;
      });
    default:
      return undefined;
  }
}
