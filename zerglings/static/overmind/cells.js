/**
 * Spatial index: a hash table of square cells, each with a linked list of slots in typed arrays.
 * Works for all coordinates within ±(2^53 − 1).
 */

const SIDE = 32; // steps
const NONE = -1;
const BELOW = 2 ** 32;

export class Cells {
  #heads;
  #next;
  #previous;

  constructor(capacity) {
    this.#heads = new Int32Array(Math.max(1024, capacity)).fill(NONE);
    this.#next = new Int32Array(capacity);
    this.#previous = new Int32Array(capacity);
  }

  add(slot, x, y) {
    const bucket = this.#bucket(Math.floor(x / SIDE), Math.floor(y / SIDE));
    const head = this.#heads[bucket];
    this.#next[slot] = head;
    this.#previous[slot] = NONE;
    if (head !== NONE) this.#previous[head] = slot;
    this.#heads[bucket] = slot;
  }

  remove(slot, x, y) {
    const next = this.#next[slot];
    const previous = this.#previous[slot];
    if (next !== NONE) this.#previous[next] = previous;
    if (previous !== NONE) this.#next[previous] = next;
    else this.#heads[this.#bucket(Math.floor(x / SIDE), Math.floor(y / SIDE))] = next;
  }

  /** Whether two locations are in the same cell, so that a move leaves the lists unchanged. */
  static isSame(x1, y1, x2, y2) {
    return (
      Math.floor(x1 / SIDE) === Math.floor(x2 / SIDE) &&
      Math.floor(y1 / SIDE) === Math.floor(y2 / SIDE)
    );
  }

  /** Number of cells that a rectangle touches. */
  static across(box) {
    const columns = Math.floor(box.maxX / SIDE) - Math.floor(box.minX / SIDE) + 1;
    const rows = Math.floor(box.maxY / SIDE) - Math.floor(box.minY / SIDE) + 1;
    return columns * rows;
  }

  /** Write the slots within a rectangle to `found`; returns their number. */
  within(box, xs, ys, found) {
    let count = 0;
    const lastColumn = Math.floor(box.maxX / SIDE);
    const lastRow = Math.floor(box.maxY / SIDE);
    for (let column = Math.floor(box.minX / SIDE); column <= lastColumn; column += 1) {
      for (let row = Math.floor(box.minY / SIDE); row <= lastRow; row += 1) {
        let slot = this.#heads[this.#bucket(column, row)];
        for (; slot !== NONE; slot = this.#next[slot]) {
          const x = xs[slot];
          const y = ys[slot];
          // Cells whose hashes collide share a bucket.
          if (Math.floor(x / SIDE) !== column || Math.floor(y / SIDE) !== row) continue;
          if (x < box.minX || x > box.maxX || y < box.minY || y > box.maxY) continue;
          found[count] = slot;
          count += 1;
        }
      }
    }
    return count;
  }

  #bucket(column, row) {
    let mixed = Math.imul(column | 0, 0x9e3779b1) ^ Math.imul(row | 0, 0x85ebca6b);
    mixed ^= Math.imul(Math.floor(column / BELOW), 0xc2b2ae35);
    mixed ^= Math.imul(Math.floor(row / BELOW), 0x27d4eb2f);
    mixed ^= mixed >>> 15;
    return (mixed >>> 0) % this.#heads.length;
  }
}
