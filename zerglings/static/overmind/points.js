/** Paints zerglings from far away: a few pixels each, stronger where several overlap. */

export const LEVELS = 8;
const FAINTEST = 0.75; // alpha of a pixel with one zergling, if more than MANY are visible
const MANY = 60_000;
const FEW = 3_000;

export class Points {
  #width = 0;
  #height = 0;
  #image = null;
  #pixels = null;
  #crowd = null; // zerglings per pixel, up to LEVELS
  #theme = null;
  #palette = null;

  /** Fill a canvas with the first `count` of `slots`; `ratio` is device pixels per CSS pixel. */
  paint(context, camera, swarm, theme, { slots, count }, ratio) {
    const { width, height } = context.canvas;
    this.#prepare(context, width, height);
    const palette = this.#colours(theme, count);
    const pixels = this.#pixels;
    const crowd = this.#crowd;
    const { xs, ys, facings } = swarm;
    const scale = camera.scale * ratio;
    const size = dotSize(camera.scale, count, ratio);
    const shift = size / 2;
    const left = width / 2 - camera.offsetX * scale - shift;
    const top = height / 2 + camera.offsetY * scale - shift;
    const lastColumn = width - size;
    const lastRow = height - size;
    const { originX, originY } = camera;
    for (let n = 0; n < count; n += 1) {
      const slot = slots[n];
      // `| 0` is the fastest way to round; all slots are near the screen, so 32 bits are enough.
      const column = (left + (xs[slot] - originX) * scale + 0.5) | 0;
      const row = (top - (ys[slot] - originY) * scale + 0.5) | 0;
      if (column < 0 || row < 0 || column > lastColumn || row > lastRow) continue;
      const at = row * width + column;
      const others = crowd[at];
      const level = others < LEVELS ? others : LEVELS - 1;
      crowd[at] = level + 1;
      const colour = palette[facings[slot] * LEVELS + level];
      if (size === 1) pixels[at] = colour;
      else square(pixels, at, width, size, colour);
    }
    context.putImageData(this.#image, 0, 0);
  }

  #prepare(context, width, height) {
    if (this.#width === width && this.#height === height) {
      this.#pixels.fill(0);
      this.#crowd.fill(0);
      return;
    }
    this.#width = width;
    this.#height = height;
    this.#image = context.createImageData(width, height);
    this.#pixels = new Uint32Array(this.#image.data.buffer);
    this.#crowd = new Uint8Array(width * height);
  }

  #colours(theme, count) {
    const isDense = count > MANY;
    const wanted = `${theme.facings.join()} ${isDense}`;
    if (this.#theme !== wanted) {
      this.#theme = wanted;
      this.#palette = palette(theme.facings, isDense ? FAINTEST : 1);
    }
    return this.#palette;
  }
}

function dotSize(scale, count, ratio) {
  const least = count < FEW ? 4 : count < MANY ? 2 : 1;
  return Math.max(1, Math.round(Math.max(least, scale * 0.75) * ratio));
}

function square(pixels, at, width, size, colour) {
  for (let row = 0; row < size; row += 1) {
    const start = at + row * width;
    pixels.fill(colour, start, start + size);
  }
}

/** Pixel values in native byte order: for each colour `LEVELS` alphas, from `faintest` to 1. */
export function palette(colours, faintest) {
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const pixels = new Uint32Array(colours.length * LEVELS);
  const bytes = new Uint8ClampedArray(pixels.buffer);
  colours.forEach((colour, n) => {
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const rgb = context.getImageData(0, 0, 1, 1).data;
    for (let level = 0; level < LEVELS; level += 1) {
      const alpha = faintest + ((1 - faintest) * level) / (LEVELS - 1);
      bytes.set([rgb[0], rgb[1], rgb[2], Math.round(alpha * 255)], (n * LEVELS + level) * 4);
    }
  });
  return pixels;
}
