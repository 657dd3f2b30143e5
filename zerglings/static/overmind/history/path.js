/**
 * The lines that a zergling has walked, in the order of its first walk along them. Lines walked
 * again are not stored again, so that a long life in a small area has a short path.
 */

import { EdgeSet } from "./edgeset.js";

/** A move by facing, from 0 (north) to 3 (west). */
export const STEP_X = [0, 1, 0, -1];
export const STEP_Y = [1, 0, -1, 0];

const FIRST_CAPACITY = 256; // lines

export class Path {
  /** Number of lines. Line n starts at `xs[n]`, `ys[n]`, in steps from the path's origin. */
  size = 0;
  xs = new Int32Array(FIRST_CAPACITY);
  ys = new Int32Array(FIRST_CAPACITY);
  facings = new Uint8Array(FIRST_CAPACITY);
  lengths = new Uint32Array(FIRST_CAPACITY);
  /** By line: the step of the history at its start. */
  steps = new Float64Array(FIRST_CAPACITY);
  /** The rectangle around all lines and the origin. */
  box = { minX: 0, maxX: 0, minY: 0, maxY: 0 };
  #edges = new EdgeSet();

  /** Add a move from `x`, `y`, made at `step` of the history. */
  add(step, x, y, facing) {
    const toX = x + STEP_X[facing];
    const toY = y + STEP_Y[facing];
    this.#extendBox(toX, toY);
    if (!this.#edges.add(Math.min(x, toX), Math.min(y, toY), facing % 2 === 0)) return;
    const last = this.size - 1;
    const isStraightOn =
      last >= 0 &&
      this.facings[last] === facing &&
      this.steps[last] + this.lengths[last] === step;
    if (isStraightOn) this.lengths[last] += 1;
    else this.#addLine(step, x, y, facing);
  }

  #extendBox(x, y) {
    const { box } = this;
    if (x < box.minX) box.minX = x;
    if (x > box.maxX) box.maxX = x;
    if (y < box.minY) box.minY = y;
    if (y > box.maxY) box.maxY = y;
  }

  #addLine(step, x, y, facing) {
    if (this.size === this.xs.length) this.#grow();
    const n = this.size;
    this.xs[n] = x;
    this.ys[n] = y;
    this.facings[n] = facing;
    this.lengths[n] = 1;
    this.steps[n] = step;
    this.size += 1;
  }

  #grow() {
    for (const name of ["xs", "ys", "facings", "lengths", "steps"]) {
      const old = this[name];
      this[name] = new old.constructor(2 * old.length);
      this[name].set(old);
    }
  }
}
