/** Colours for canvases: the sign of a number, the classes, as red, green, blue. The same in every picture. */

type Colour = readonly [number, number, number];

const POSITIVE: Colour = [230, 132, 20];
const NEGATIVE: Colour = [30, 120, 200];
/** Classes beyond two; told apart in the common forms of colour blindness (Okabe & Ito, 2008). */
const CLASSES: readonly Colour[] = [
  [0, 114, 178],
  [230, 159, 0],
  [0, 158, 115],
  [204, 121, 167],
  [213, 94, 0],
  [86, 180, 233],
  [240, 228, 66],
  [120, 120, 120],
  [148, 103, 189],
  [140, 86, 75],
];

const system = matchMedia("(prefers-color-scheme: dark)");
let own: Theme | undefined;
let dark = system.matches;
system.addEventListener("change", () => setTheme(own));

export type Theme = "light" | "dark";

/** Takes a theme for the page, or the system's. Canvases are painted in it from now on. */
export function setTheme(theme: Theme | undefined): void {
  own = theme;
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  dark = theme ? theme === "dark" : system.matches;
}

export const isDark = (): boolean => dark;

const paper = (): Colour => (isDark() ? [18, 22, 27] : [255, 255, 255]);

const mixed = ([r, g, b]: Colour, to: Colour, share: number): Colour => [
  r + (to[0] - r) * share,
  g + (to[1] - g) * share,
  b + (to[2] - b) * share,
];

export const css = ([r, g, b]: Colour, alpha = 1): string =>
  `rgb(${Math.round(r)} ${Math.round(g)} ${Math.round(b)} / ${alpha})`;

/** A number on the scale from −most (blue) by 0 (the paper) to most (orange). */
export function signed(value: number, most: number, background = paper()): Colour {
  const share = most > 0 && Number.isFinite(value) ? Math.min(1, Math.abs(value) / most) : 0;
  return mixed(background, value >= 0 ? POSITIVE : NEGATIVE, share ** 0.8);
}

/** How much there is of something, from 0 (the paper) to 1 (the ink). */
export const inked = (share: number): Colour => mixed(paper(), isDark() ? [232, 235, 239] : [27, 31, 36], share);

/** Of two classes, the first is below zero and the second above. */
export function ofClass(label: number, classes: number): Colour {
  if (classes <= 2) return label === 0 ? NEGATIVE : POSITIVE;
  return CLASSES[label % CLASSES.length];
}

/** What the network says of a place: its probabilities as one colour. */
export function ofProbabilities(p: ArrayLike<number>, from: number, classes: number, background = paper()): Colour {
  if (classes === 2) return signed(2 * p[from + 1] - 1, 1.25, background);
  let best = 0;
  for (let k = 1; k < classes; k++) if (p[from + k] > p[from + best]) best = k;
  return mixed(
    background,
    ofClass(best, classes),
    Math.max(0, (p[from + best] - 1 / classes) / (1 - 1 / classes)) * 0.6,
  );
}

/** The largest size among numbers; a scale needs one. */
export function largest(values: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]);
    if (size > most && Number.isFinite(size)) most = size;
  }
  return most;
}

/** Draws cells of colours into a canvas of as many pixels; CSS makes it larger. */
export function paint(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
  colour: (cell: number) => Colour,
): void {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(width, height);
  const { data } = image;
  for (let cell = 0; cell < width * height; cell++) {
    const [r, g, b] = colour(cell);
    data[cell * 4] = r;
    data[cell * 4 + 1] = g;
    data[cell * 4 + 2] = b;
    data[cell * 4 + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}
