/** Draws a small grey picture in a terminal, two pixels to a character; in shades where there are colours. */

/** @param pixels [height, width] from 0 (black) to 255; light is ink */
export function drawPicture(pixels: Uint8Array, width: number, height: number, colours: boolean): string[] {
  const at = (x: number, y: number): number => (y < height ? pixels[y * width + x] : 0);
  const lines: string[] = [];
  for (let y = 0; y < height; y += 2) {
    let line = "";
    for (let x = 0; x < width; x++) line += colours ? shades(at(x, y), at(x, y + 1)) : halves(at(x, y), at(x, y + 1));
    lines.push(colours ? `${line}\u001b[0m` : line);
  }
  return lines;
}

const halves = (upper: number, lower: number): string => " ▄▀█"[(upper > 96 ? 2 : 0) + (lower > 96 ? 1 : 0)];

/** The 24 greys of the 256-colour palette. */
const grey = (value: number): number => 232 + Math.round((value / 255) * 23);

const shades = (upper: number, lower: number): string => `\u001b[38;5;${grey(upper)};48;5;${grey(lower)}m▀`;

/** Two columns of lines beside each other. */
export function beside(left: readonly string[], right: readonly string[], leftWidth: number, gap: number): string[] {
  const top = Math.max(0, (left.length - right.length) >> 1);
  return Array.from({ length: Math.max(left.length, right.length + top) }, (_, i) => {
    const text = left[i] ?? " ".repeat(leftWidth);
    return `${text}${" ".repeat(gap)}${right[i - top] ?? ""}`.trimEnd();
  });
}
