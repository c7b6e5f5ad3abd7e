/** Files in and out of the page, and what it remembers of its own looks. */

export interface GivenFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const read = async (file: File, name = file.name): Promise<GivenFile> => ({
  name,
  // What is too large to be taken is not read: its size alone is told.
  bytes: file.size > 2 ** 31 ? new Uint8Array(0) : new Uint8Array(await file.arrayBuffer()),
});

export const filesOfList = (list: FileList): Promise<GivenFile[]> =>
  Promise.all([...list].map((file) => read(file, file.webkitRelativePath || file.name)));

/** The files of a drop: one, several, or all in a folder. */
export async function filesOfDrop(transfer: DataTransfer): Promise<GivenFile[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const found: GivenFile[] = [];
  for (const entry of entries) await walk(entry, "", found);
  return found;
}

async function walk(entry: FileSystemEntry, path: string, found: GivenFile[]): Promise<void> {
  const name = path === "" ? entry.name : `${path}/${entry.name}`;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    found.push(await read(file, name));
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  // A folder is read in portions, until an empty one comes.
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const inner of some) await walk(inner, name, found);
  }
}

export function download(name: string, content: Uint8Array | string): void {
  const url = URL.createObjectURL(new Blob([content as Uint8Array<ArrayBuffer>]));
  const link = document.createElement("a");
  [link.href, link.download] = [url, name];
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** What is drawn in a part of the page, as one PNG: all its canvases in their places. */
export async function pictureOf(part: HTMLElement): Promise<Uint8Array> {
  const [scale, box] = [2, part.getBoundingClientRect()];
  const whole = document.createElement("canvas");
  [whole.width, whole.height] = [Math.round(box.width * scale), Math.round(box.height * scale)];
  const context = whole.getContext("2d")!;
  context.fillStyle = getComputedStyle(document.body).backgroundColor;
  context.fillRect(0, 0, whole.width, whole.height);
  context.imageSmoothingEnabled = false;
  for (const canvas of part.querySelectorAll("canvas")) {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    context.drawImage(canvas, (left - box.left) * scale, (top - box.top) * scale, width * scale, height * scale);
  }
  const blob = await new Promise<Blob | null>((done) => whole.toBlob(done, "image/png"));
  return new Uint8Array(await blob!.arrayBuffer());
}

/** Reads or keeps a small setting; nothing where the browser keeps none. */
export function saved(name: string, value?: string): string | undefined {
  try {
    if (value === undefined) return localStorage.getItem(`chainrule-${name}`) ?? undefined;
    localStorage.setItem(`chainrule-${name}`, value);
  } catch {
    // Then it is the usual one next time.
  }
  return undefined;
}
