/**
 * Paints the path of the selected zergling on a canvas of its own. It writes pixels, because all
 * lines run along the axes, and 100,000 strokes take much longer than a frame.
 */

import { LEVELS, palette } from "../points.js";

const WIDTH = 0.1; // of a step
const MIN_WIDTH = 2; // CSS pixels
const LATER_WIDTH = 0.5; // lines later than the step shown are thinner, by this factor
const FAINTEST = 0.52; // and have this alpha, a contrast of 3:1 on light paper
const OLDEST = 3; // palette level of the oldest lines
const LATEST_STEPS = 12; // the last steps, painted strongest
const SHORT = 24; // pixels up to which a loop is faster than TypedArray.fill

export class PathPainter {
  #image = null;
  #pixels = null; // of the image, 32 bits each
  #width = 0;
  #height = 0;
  #top = Infinity; // the rows that are painted, up to `#bottom`
  #bottom = 0;
  #colours = { name: "", levels: null };
  #frame = null; // of this painting: origin in pixels, pixels per step, line width

  /** Paint the path up to `step`, the rest thin and faint. `ratio` is device pixels per CSS pixel. */
  paint(context, { camera, theme, history, step, ratio }) {
    if (!history && !this.#image) return;
    this.#prepare(context);
    const [oldTop, oldBottom] = [this.#top, this.#bottom];
    [this.#top, this.#bottom] = [Infinity, 0];
    if (history) {
      const levels = this.#levels(theme);
      this.#frame = frameOf(camera, history.origin, ratio, LATER_WIDTH);
      this.#paintLater(history, step, levels[0]);
      this.#frame = frameOf(camera, history.origin, ratio);
      this.#paintWalked(history, step, levels);
    }
    const top = Math.min(oldTop, this.#top);
    const bottom = Math.max(oldBottom, this.#bottom);
    if (top < bottom) {
      context.putImageData(this.#image, 0, 0, 0, top, this.#width, bottom - top);
    }
  }

  /** Blank the image. The canvas itself is blank if it has been resized. */
  #prepare(context) {
    const { width, height } = context.canvas;
    if (this.#image && this.#width === width && this.#height === height) {
      if (this.#top < this.#bottom) this.#pixels.fill(0, this.#top * width, this.#bottom * width);
      return;
    }
    this.#width = width;
    this.#height = height;
    this.#image = context.createImageData(width, height);
    this.#pixels = new Uint32Array(this.#image.data.buffer);
    [this.#top, this.#bottom] = [Infinity, 0];
  }

  #paintLater({ path, count }, step, colour) {
    if (step === count) return;
    const first = Math.max(0, linesBefore(path, step) - 1); // it may be walked in part
    for (let n = first; n < path.size; n += 1) this.#line(path, n, path.lengths[n], colour);
  }

  #paintWalked(history, step, levels) {
    const { path, origin } = history;
    const walked = linesBefore(path, step);
    const shades = LEVELS - 1 - OLDEST; // the last level is for the latest steps
    for (let n = 0; n < walked; n += 1) {
      const length = Math.min(path.lengths[n], step - path.steps[n]);
      const age = Math.floor(((path.steps[n] - history.first) / (step - history.first)) * shades);
      this.#line(path, n, length, levels[OLDEST + age]);
    }
    const latest = history.corners(Math.max(history.first, step - LATEST_STEPS), step);
    for (let n = 1; n < latest.length; n += 1) {
      const [from, to] = [latest[n - 1], latest[n]];
      this.#rectangle(
        Math.min(from.x, to.x) - origin.x,
        Math.min(from.y, to.y) - origin.y,
        Math.abs(from.x - to.x),
        Math.abs(from.y - to.y),
        levels[LEVELS - 1],
      );
    }
  }

  #line(path, n, length, colour) {
    const facing = path.facings[n];
    const isVertical = facing % 2 === 0;
    const x = path.xs[n] - (facing === 3 ? length : 0);
    const y = path.ys[n] - (facing === 2 ? length : 0);
    this.#rectangle(x, y, isVertical ? 0 : length, isVertical ? length : 0, colour);
  }

  /** A line from `x`, `y` on, in steps, `across` to the east and `up` to the north. */
  #rectangle(x, y, across, up, colour) {
    const { left: originLeft, top: originTop, scale, width: thickness } = this.#frame;
    const startLeft = originLeft + x * scale;
    const startTop = originTop - (y + up) * scale;
    const left = Math.max(0, Math.round(startLeft));
    const right = Math.min(this.#width, Math.round(startLeft + across * scale) + thickness);
    const top = Math.max(0, Math.round(startTop));
    const bottom = Math.min(this.#height, Math.round(startTop + up * scale) + thickness);
    if (left >= right || top >= bottom) return;
    if (top < this.#top) this.#top = top;
    if (bottom > this.#bottom) this.#bottom = bottom;
    const pixels = this.#pixels;
    for (let row = top; row < bottom; row += 1) {
      const start = row * this.#width + left;
      const end = start + right - left;
      if (end - start > SHORT) pixels.fill(colour, start, end);
      else for (let at = start; at < end; at += 1) pixels[at] = colour;
    }
  }

  #levels(theme) {
    if (this.#colours.name !== theme.ink) {
      this.#colours = { name: theme.ink, levels: palette([theme.ink], FAINTEST) };
    }
    return this.#colours.levels;
  }
}

/**
 * The top left corner of the origin's lines in device pixels, pixels per step, and line width, of
 * which a line gets a `share`.
 */
function frameOf(camera, { x, y }, ratio, share = 1) {
  const width = Math.max(1, Math.round(Math.max(MIN_WIDTH, WIDTH * camera.scale) * ratio * share));
  return {
    left: camera.screenX(x) * ratio - width / 2,
    top: camera.screenY(y) * ratio - width / 2,
    scale: camera.scale * ratio,
    width,
  };
}

/** Number of lines that begin before a step. */
function linesBefore({ steps, size }, step) {
  let low = 0;
  let high = size;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (steps[middle] < step) low = middle + 1;
    else high = middle;
  }
  return low;
}
