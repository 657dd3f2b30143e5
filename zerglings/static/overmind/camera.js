/**
 * The visible part of the plane. North is up.
 *
 * The centre is an integer location (`origin`) plus a fraction of a step (`offset`), because floats
 * near 2^53 have no fractions. Differences of nearby integer locations are exact even there.
 */

export const EDGE = Number.MAX_SAFE_INTEGER;
const MAX_SCALE = 96;
const FIT_SCALE = 56; // CSS pixels per step, so that a single zergling does not fill the screen
const FIT_MARGIN = 0.08;
const CONTROLS = 104; // CSS pixels at the right edge, covered by the compass and the buttons
const MAX_CONTROLS_SHARE = 0.18; // of the width
const WORLD = 2 * EDGE;

export class Camera {
  width = 1;
  height = 1;
  /** CSS pixels per step. */
  scale = 40;
  originX = 0;
  originY = 0;
  offsetX = 0;
  offsetY = 0;

  resize(width, height) {
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
    this.scale = this.#clampScale(this.scale);
  }

  /** CSS pixels from the left edge to the centre of a location's square; y from the top edge. */
  screenX(x) {
    return this.width / 2 + (x - this.originX - this.offsetX) * this.scale;
  }

  screenY(y) {
    return this.height / 2 - (y - this.originY - this.offsetY) * this.scale;
  }

  /** The location under a point of the screen. */
  locationAt(left, top) {
    const x = this.originX + Math.round(this.offsetX + (left - this.width / 2) / this.scale);
    const y = this.originY + Math.round(this.offsetY - (top - this.height / 2) / this.scale);
    return { x: clamped(x), y: clamped(y) };
  }

  /**
   * The rectangle of locations on the screen, and up to `margin` steps outside it.
   */
  box(margin = 0) {
    const halfX = this.width / 2 / this.scale + margin;
    const halfY = this.height / 2 / this.scale + margin;
    return {
      minX: clamped(this.originX + Math.ceil(this.offsetX - halfX)),
      maxX: clamped(this.originX + Math.floor(this.offsetX + halfX)),
      minY: clamped(this.originY + Math.ceil(this.offsetY - halfY)),
      maxY: clamped(this.originY + Math.floor(this.offsetY + halfY)),
    };
  }

  /** Whether a location is on the screen, at least `margin` CSS pixels from its edges. */
  shows(x, y, margin = 0) {
    const left = this.screenX(x);
    const top = this.screenY(y);
    return (
      left >= margin &&
      left <= this.width - margin &&
      top >= margin &&
      top <= this.height - margin
    );
  }

  /** Move the picture by CSS pixels. */
  pan(right, down) {
    this.#offset(this.offsetX - right / this.scale, this.offsetY + down / this.scale);
  }

  /** Zoom by a factor around a point of the screen. */
  zoom(factor, left = this.width / 2, top = this.height / 2) {
    const right = left - this.width / 2;
    const down = top - this.height / 2;
    const before = this.scale;
    this.scale = this.#clampScale(before * factor);
    const shift = 1 / before - 1 / this.scale;
    this.#offset(this.offsetX + right * shift, this.offsetY - down * shift);
  }

  /** Centre a location, optionally at another scale. */
  lookAt(x, y, scale = this.scale) {
    this.scale = this.#clampScale(scale);
    this.originX = clamped(x);
    this.originY = clamped(y);
    this.offsetX = 0;
    this.offsetY = 0;
  }

  /** Show and centre a rectangle of locations, clear of the controls at the map's edges. */
  fit({ minX, minY, maxX, maxY }) {
    const beside = Math.max(FIT_MARGIN, Math.min(MAX_CONTROLS_SHARE, CONTROLS / this.width));
    this.scale = this.#clampScale(
      Math.min(
        FIT_SCALE,
        (this.width * (1 - 2 * beside)) / (maxX - minX + 1),
        (this.height * (1 - 2 * FIT_MARGIN)) / (maxY - minY + 1),
      ),
    );
    this.originX = minX + Math.floor((maxX - minX) / 2);
    this.originY = minY + Math.floor((maxY - minY) / 2);
    this.offsetX = ((maxX - minX) / 2) % 1;
    this.offsetY = ((maxY - minY) / 2) % 1;
  }

  /** A copy: start or target of an animation. */
  copy() {
    return Object.assign(new Camera(), this);
  }

  /** Interpolate between two cameras: 0 is `from`, 1 is `to`. */
  interpolate(from, to, part) {
    const left = 1 - part;
    this.scale = from.scale ** left * to.scale ** part;
    this.originX = to.originX;
    this.originY = to.originY;
    this.#offset(
      to.offsetX + (from.originX - to.originX + (from.offsetX - to.offsetX)) * left,
      to.offsetY + (from.originY - to.originY + (from.offsetY - to.offsetY)) * left,
    );
  }

  #offset(x, y) {
    const stepsX = Math.floor(x);
    const stepsY = Math.floor(y);
    this.originX = clamped(this.originX + stepsX);
    this.originY = clamped(this.originY + stepsY);
    this.offsetX = x - stepsX;
    this.offsetY = y - stepsY;
  }

  #clampScale(scale) {
    const least = (Math.min(this.width, this.height) * 0.8) / WORLD;
    return Math.min(MAX_SCALE, Math.max(least, scale));
  }
}

function clamped(value) {
  return Math.min(EDGE, Math.max(-EDGE, Math.round(value))) || 0; // never -0
}
