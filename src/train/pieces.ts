/**
 * The rows of an epoch in pieces, of which one lies in the engine: it is trained on while the next one is read, and then
 * forgotten. So an epoch may have any number of rows. A piece holds whole batches, and the last one what is left, so the
 * steps are those of an epoch that lies in memory. Where the rows come from is for batch-source.ts.
 */
import { DataError } from "../errors.ts";
import { breathe } from "./breathe.ts";
import { blankExamples, bytesOfRow, copyExamples, type Examples, viewOfRows } from "./examples.ts";

/** Gives the rows of an epoch in their order, from row `from` on, in parts of any size and of one form. */
export type RowSource = (epoch: number, from: number) => AsyncIterable<Examples>;

/** Rows of an epoch that lie together in the engine. */
export interface Piece {
  readonly epoch: number;
  /** The number of its first row in the epoch. */
  readonly from: number;
  readonly count: number;
  /** Whether the epoch ends with it. */
  readonly isLast: boolean;
  /** As many rows as every piece has room for; those beyond `count` mean nothing. Good until the next piece is asked for. */
  readonly examples: Examples;
}

/** Rows that are read piece by piece. */
export interface PieceSource {
  readonly batchSize: number;
  /** The rows of the first piece of the first epoch. */
  readonly sample: Examples;
  /** A reader of its own. The first one goes on from the piece that has been read. */
  open(): PieceReader;
}

/** The same rows, each part made anew. */
export const mapRows = (source: RowSource, change: (part: Examples) => Examples): RowSource =>
  async function* (epoch, from) {
    for await (const part of source(epoch, from)) yield change(part);
  };

/** Bytes that a piece takes, unless a batch is larger. */
const PIECE_BYTES = 2 ** 23;
/** Bytes that an epoch may take which is to be one batch. */
const MOST_BYTES = 2 ** 31;
/** A source that gives rows at once lets other work run after so many milliseconds. */
const READ_TIME = 15;

/** An epoch that is being read, and how far. */
interface Reading {
  readonly epoch: number;
  /** The number of the next row. */
  row: number;
  readonly parts: AsyncIterator<Examples>;
  /** Rows of the last part that belong to the next piece. */
  rest?: Examples;
}

const begin = (source: RowSource, epoch: number, row: number): Reading => ({
  epoch,
  row,
  parts: source(epoch, row)[Symbol.asyncIterator](),
});

/** The next part of an epoch, at most so many rows of it; none at its end. */
async function nextPart(reading: Reading, most: number): Promise<Examples | undefined> {
  let { rest: part } = reading;
  if (!part) {
    const next = await reading.parts.next();
    if (next.done) return undefined;
    part = next.value;
  }
  const { count } = part;
  reading.rest = count > most ? viewOfRows(part, most, count - most) : undefined;
  reading.row += Math.min(count, most);
  return count > most ? viewOfRows(part, 0, most) : part;
}

/** Reads on until `room` is full or the epoch ends, with row `rows` where that is known. */
async function readPiece(reading: Reading, room: Examples, rows: number | undefined): Promise<Piece> {
  const { epoch, row: from } = reading;
  const end = from + room.count;
  let since = performance.now();
  let isLast = false;
  while (!isLast && reading.row < end) {
    const at = reading.row - from;
    const part = await nextPart(reading, end - reading.row);
    if (part) copyExamples(part, room, at);
    isLast = !part || reading.row === rows;
    if (performance.now() - since < READ_TIME) continue;
    await breathe();
    since = performance.now();
  }
  return { epoch, from, count: reading.row - from, isLast, examples: room };
}

/** What a promise gives, unless the signal is given before. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  signal?.throwIfAborted();
  if (!signal) return promise;
  let abort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort);
  });
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener("abort", abort));
}

/**
 * Reads the first piece of the first epoch, which decides the size of all.
 * @param asked the rows of a batch: those of the first part unless said
 * @param none what to say of an epoch without rows
 * @param rows how many rows an epoch has, if that is known
 * @param goesOn whether the next epoch is read while the last piece of one is trained on
 */
export async function openPieces(
  source: RowSource,
  asked: number | "all" | undefined,
  {
    none,
    rows,
    goesOn = false,
    signal,
  }: { readonly none: string; readonly rows?: number; readonly goesOn?: boolean; readonly signal?: AbortSignal },
): Promise<PieceSource> {
  const reading = begin(source, 0, 0);
  const like = await orAborted(nextPart(reading, Infinity), signal);
  if (!like) throw new DataError(none);
  const batchSize = asked === "all" ? Infinity : (asked ?? like.count);
  const bytes = bytesOfRow(like);
  const most = batchSize * Math.max(1, Math.floor(PIECE_BYTES / bytes / batchSize));
  const parts: Examples[] = [];
  reading.row = 0;
  for (reading.rest = like; reading.row < most; ) {
    const part = await orAborted(nextPart(reading, most - reading.row), signal);
    if (!part) break;
    parts.push(part);
    if (most === Infinity && reading.row * bytes > MOST_BYTES)
      throw new DataError(
        "An epoch of more than 2 GiB was to be one batch. Give a batchSize, or end the epoch with stepsPerEpoch.",
      );
  }
  const count = reading.row;
  const examples = blankExamples(like, count);
  let row = 0;
  for (const part of parts) {
    copyExamples(part, examples, row);
    row += part.count;
  }
  const first: Piece = { epoch: 0, from: 0, count, isLast: count < most || count === rows, examples };
  let going: Reading | undefined = reading;
  return {
    batchSize: Math.min(batchSize, asked === "all" ? count : Infinity),
    sample: examples,
    open() {
      const reader = new PieceReader(source, first, going, rows, goesOn);
      going = undefined;
      return reader;
    },
  };
}

/** Reads pieces, as a rule one after the other. */
export class PieceReader {
  /** The first piece of the first epoch, which is read already. */
  readonly first: Piece;
  readonly #source: RowSource;
  #reading: Reading | undefined;
  #now: Piece;
  /** The piece that is being read, into the room that the present one does not lie in. */
  #next: { readonly epoch: number; readonly from: number; readonly piece: Promise<Piece> } | undefined;
  readonly #rooms: Examples[] = [];
  /** The rows of an epoch: known from the beginning, or once one has come to its end. */
  readonly #rows: number | undefined;
  #epochRows: number | undefined;

  readonly #goesOn: boolean;

  constructor(
    source: RowSource,
    first: Piece,
    reading: Reading | undefined,
    rows: number | undefined,
    goesOn: boolean,
  ) {
    this.#goesOn = goesOn;
    this.#rows = rows;
    this.#epochRows = rows;
    this.first = first;
    this.#source = source;
    this.#now = first;
    this.#reading = reading;
    if (first.isLast) this.#epochRows = first.count;
  }

  /** The rows of an epoch, once one has come to its end. */
  get epochRows(): number | undefined {
    return this.#epochRows;
  }

  /** The piece in which a row stands; at the end of an epoch one without rows. The piece after it begins to be read. */
  async at(epoch: number, row: number, signal?: AbortSignal): Promise<Piece> {
    if (!holds(this.#now, epoch, row)) {
      if (this.#next?.epoch !== epoch || this.#next.from !== row) {
        await this.#next?.piece.catch(() => {}); // two readings may not write at once
        this.#read(epoch, row);
      }
      const piece = await orAborted(this.#next!.piece, signal);
      this.#check(piece);
      this.#now = piece;
      this.#next = undefined;
    }
    const { from, count, isLast } = this.#now;
    if (!isLast && !this.#next) this.#read(epoch, from + count);
    if (isLast && this.#goesOn && !this.#next) this.#read(epoch + 1, 0);
    return this.#now;
  }

  #read(epoch: number, row: number): void {
    if (this.#reading?.epoch !== epoch || this.#reading.row !== row) {
      this.close();
      this.#reading = begin(this.#source, epoch, row);
    }
    if (this.#rooms.length < 2) this.#rooms.push(blankExamples(this.first.examples, this.first.examples.count));
    else this.#rooms.reverse();
    const piece = readPiece(this.#reading, this.#rooms[this.#rooms.length - 1], this.#rows);
    piece.catch(() => {}); // told when the piece is asked for
    this.#next = { epoch, from: row, piece };
  }

  /** Every epoch must have as many rows as the first. */
  #check({ epoch, from, count, isLast }: Piece): void {
    const [came, wanted] = [from + count, this.#epochRows];
    if (isLast) this.#epochRows ??= came;
    if (wanted === undefined || (isLast ? came === wanted : came <= wanted)) return;
    throw new DataError(
      `Epoch ${epoch + 1} was given ${isLast ? "" : "at least "}${came} rows, the first ${wanted}; all must have as many. stepsPerEpoch ends an epoch after so many batches.`,
    );
  }

  /** Ends the reading. */
  close(): void {
    // What a source says when it is told to stop has nobody to hear it.
    this.#reading?.parts.return?.().catch(() => {});
    this.#reading = undefined;
  }
}

const holds = (piece: Piece, epoch: number, row: number): boolean => {
  const end = piece.from + piece.count;
  return piece.epoch === epoch && row >= piece.from && (row < end || (row === end && piece.isLast));
};
