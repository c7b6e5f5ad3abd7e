/**
 * Where HDF5 keeps many small things: links and attributes beyond eight lie in a "fractal heap", a table of blocks whose
 * rows double, and are found through a B-tree of the second kind. Here all of them are read, in the tree's order.
 */
import { type Bytes, type Cursor, damaged, unread } from "./bytes.ts";

/** A heap's blocks: how wide its table is, how large its first block and its largest direct one. */
interface Heap {
  readonly bytes: Bytes;
  readonly offsetSize: number;
  readonly lengthSize: number;
  readonly width: number;
  readonly start: number;
  readonly maxDirect: number;
  readonly root: number;
  /** Rows of the root's table; 0 where the root is a block of data itself. */
  readonly rows: number;
}

const log2 = (n: number): number => Math.floor(Math.log2(n));

function readHeap(bytes: Bytes, address: number): Heap {
  const cursor = bytes.part(address, "FRHP").skip(1);
  cursor.skip(2);
  const filters = cursor.u16();
  if (filters > 0) throw unread("a packed heap", "Write it again with h5repack");
  cursor.skip(1);
  const maxManaged = cursor.u32();
  cursor.skip(96);
  const width = cursor.u16();
  const [start, maxDirect] = [cursor.u64(), cursor.u64()];
  const maxBits = cursor.u16();
  cursor.skip(2);
  const root = cursor.address() ?? -1; // a heap without anything has none
  const rows = cursor.u16();
  const isPower = (n: number): boolean => n >= 1 && n <= 2 ** 32 && 2 ** log2(n) === n;
  if (!isPower(start) || !isPower(maxDirect) || !isPower(width) || maxBits < 1 || maxBits > 48 || maxManaged < 1)
    throw damaged("the sizes of a heap make no sense");
  const bytesOf = (n: number): number => Math.floor((log2(n) + 7) / 8);
  return {
    bytes,
    offsetSize: Math.ceil(maxBits / 8),
    lengthSize: Math.min(bytesOf(maxDirect), bytesOf(maxManaged)),
    width,
    start,
    maxDirect,
    root,
    rows,
  };
}

/** The size of each block in a row of the table. */
const blockSize = ({ start }: Heap, row: number): number => start * 2 ** Math.max(0, row - 1);

/** The address of the byte that stands at an offset of the heap. */
function locate(heap: Heap, offset: number): number {
  if (heap.rows === 0) return heap.root + offset;
  let [address, rows, base] = [heap.root, heap.rows, 0];
  for (let depth = 0; depth < 16; depth++) {
    const { bytes, width, offsetSize, maxDirect } = heap;
    let row = 0;
    let before = base;
    while (row < rows && offset >= before + width * blockSize(heap, row)) before += width * blockSize(heap, row++);
    if (row >= rows) throw damaged("a heap has less than is looked for in it");
    const size = blockSize(heap, row);
    const column = Math.floor((offset - before) / size);
    const entry = row * width + column;
    // Letters, version, the header's address, its own offset; then the addresses of the blocks.
    const cursor = bytes.part(address, "FHIB").skip(1 + 8 + offsetSize);
    const child = cursor.skip(8 * entry).u64();
    const childBase = before + column * size;
    if (size <= maxDirect) return child + (offset - childBase);
    [address, base, rows] = [child, childBase, log2(size) - log2(heap.start * width) + 1];
  }
  throw damaged("a heap's blocks lie in one another without end");
}

/** The bytes of one thing in the heap, by its number there. */
function thing(heap: Heap, id: Cursor): Cursor {
  const kind = (id.u8() >> 4) & 3;
  if (kind !== 0) throw unread("attributes or names of unusual size", "Save the model with fewer or shorter names");
  const offset = id.uint(heap.offsetSize);
  const length = id.uint(heap.lengthSize);
  return heap.bytes.at(locate(heap, offset)).inner(length);
}

/** How many bytes a number up to `most` takes. */
const sizeFor = (most: number): number => Math.floor(log2(Math.max(1, most)) / 8) + 1;

/** The records of a B-tree of the second kind. */
function records(bytes: Bytes, address: number): Cursor[] {
  const header = bytes.part(address, "BTHD").skip(2);
  const nodeSize = header.u32();
  const recordSize = header.u16();
  const depth = header.u16();
  header.skip(2);
  const root = header.address();
  const rootRecords = header.u16();
  if (root === undefined) return [];
  if (recordSize < 1 || depth > 16) throw damaged("the sizes of a tree make no sense");
  // How many records a node of each level has at most, and how many all those below it.
  const leafMost = Math.floor((nodeSize - 10) / recordSize);
  const countSize = sizeFor(leafMost);
  const totalSizes = [0];
  let total = leafMost;
  for (let level = 1; level < depth; level++) {
    const pointer = 8 + countSize + totalSizes[level - 1];
    const most = Math.floor((nodeSize - (10 + pointer)) / (recordSize + pointer));
    total = (most + 1) * total + most;
    totalSizes.push(sizeFor(total));
  }
  const all: Cursor[] = [];
  const node = (at: number, count: number, level: number): void => {
    const cursor = bytes.part(at, level === 0 ? "BTLF" : "BTIN").skip(2);
    for (let i = 0; i < count; i++) all.push(cursor.inner(recordSize));
    if (level === 0) return;
    for (let i = 0; i <= count; i++) {
      const child = cursor.u64();
      const childCount = cursor.uint(countSize);
      cursor.skip(totalSizes[level - 1]);
      node(child, childCount, level - 1);
    }
  };
  node(root, rootRecords, depth);
  return all;
}

/** All things of a heap that a tree names; `before` bytes of each record come before the thing's number. */
export function thingsOf(bytes: Bytes, heapAddress: number, treeAddress: number, before: number): Cursor[] {
  const heap = readHeap(bytes, heapAddress);
  return records(bytes, treeAddress).map((record) => {
    bytes.visit();
    return thing(heap, record.skip(before));
  });
}
