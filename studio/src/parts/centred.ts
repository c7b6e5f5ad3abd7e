/**
 * A drawn digit as those of MNIST are placed: what is drawn is brought into a square of 20 pixels and laid so that its centre
 * of mass is the middle of 28 (LeCun, Cortes & Burges, the MNIST database).
 */

const BOX = 20;

/** Grey levels of a picture of `side` × `side`, row by row. An empty one stays as it is. */
export function centred(grey: readonly number[], side: number): number[] {
  const [xs, ys] = [[], []] as [number[], number[]];
  grey.forEach((level, i) => {
    if (level === 0) return;
    xs.push(i % side);
    ys.push(Math.floor(i / side));
  });
  if (xs.length === 0) return [...grey];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const scale = (Math.max(Math.max(...xs) - left, Math.max(...ys) - top) + 1) / BOX;
  const at = (x: number, y: number): number => (x < 0 || y < 0 || x >= side || y >= side ? 0 : grey[y * side + x]);
  /** Between four neighbours, in pixels of the drawing. */
  const between = (x: number, y: number): number => {
    const [x0, y0] = [Math.floor(x), Math.floor(y)];
    const [fx, fy] = [x - x0, y - y0];
    return (
      (1 - fy) * ((1 - fx) * at(x0, y0) + fx * at(x0 + 1, y0)) +
      fy * ((1 - fx) * at(x0, y0 + 1) + fx * at(x0 + 1, y0 + 1))
    );
  };
  const [mass, mx, my] = grey.reduce(
    ([m, x, y], level, i) => [m + level, x + level * (i % side), y + level * Math.floor(i / side)],
    [0, 0, 0],
  );
  const middle = (side - 1) / 2;
  return Array.from({ length: side * side }, (_, i) =>
    Math.round(between(mx / mass + ((i % side) - middle) * scale, my / mass + (Math.floor(i / side) - middle) * scale)),
  );
}
