/** What the picture of the network draws with: a canvas has it, and the class below writes the same down as SVG. */
export type Pen = Pick<
  CanvasRenderingContext2D,
  "arc" | "beginPath" | "bezierCurveTo" | "fill" | "moveTo" | "stroke" | "fillStyle" | "strokeStyle" | "lineWidth"
> & {
  globalAlpha: number;
  drawImage(image: HTMLCanvasElement, x: number, y: number, width: number, height: number): void;
};

const at = (value: number): string => String(Number(value.toFixed(2)));
const escaped = (text: string): string => text.replace(/[&<>"]/g, (mark) => `&#${mark.charCodeAt(0)};`);

export class SvgContext implements Pen {
  fillStyle = "#000";
  strokeStyle = "#000";
  lineWidth = 1;
  globalAlpha = 1;
  #path = "";
  readonly #parts: string[] = [];
  readonly #size: readonly [number, number];

  constructor(width: number, height: number, background: string) {
    this.#size = [width, height];
    this.#parts.push(`<rect width="100%" height="100%" fill="${background}"/>`);
  }

  beginPath(): void {
    this.#path = "";
  }
  moveTo(x: number, y: number): void {
    this.#path += `M${at(x)} ${at(y)}`;
  }
  bezierCurveTo(...places: [number, number, number, number, number, number]): void {
    this.#path += `C${places.map(at).join(" ")}`;
  }
  /** A whole circle: the picture has no other arcs. */
  arc(x: number, y: number, radius: number): void {
    const turn = `a${at(radius)} ${at(radius)} 0 1 1`;
    this.#path += `M${at(x - radius)} ${at(y)}${turn} ${at(2 * radius)} 0${turn} ${at(-2 * radius)} 0`;
  }
  stroke(): void {
    this.#parts.push(
      `<path d="${this.#path}" fill="none" stroke="${this.strokeStyle}" stroke-width="${at(this.lineWidth)}"${this.#alpha()}/>`,
    );
  }
  fill(): void {
    this.#parts.push(`<path d="${this.#path}" fill="${this.fillStyle}"${this.#alpha()}/>`);
  }
  drawImage(image: HTMLCanvasElement, x: number, y: number, width: number, height: number): void {
    this.#parts.push(
      `<image x="${at(x)}" y="${at(y)}" width="${at(width)}" height="${at(height)}" preserveAspectRatio="none" style="image-rendering:pixelated" href="${image.toDataURL()}"/>`,
    );
  }
  /** Words, their middle at a place. */
  text(words: string, x: number, y: number): void {
    this.#parts.push(
      `<text x="${at(x)}" y="${at(y)}" text-anchor="middle" font-family="system-ui, sans-serif" font-size="12" fill="${this.fillStyle}">${escaped(words)}</text>`,
    );
  }
  #alpha(): string {
    return this.globalAlpha === 1 ? "" : ` opacity="${this.globalAlpha}"`;
  }

  toString(): string {
    const [width, height] = this.#size;
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${at(width)}" height="${at(height)}" viewBox="0 0 ${at(width)} ${at(height)}">\n${this.#parts.join("\n")}\n</svg>\n`;
  }
}
