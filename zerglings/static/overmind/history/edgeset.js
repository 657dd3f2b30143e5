/** A set of edges between neighbouring locations. It takes 16 to 32 bytes an edge. */

const FIRST_CAPACITY = 1024; // a power of two
const REACH = 2 ** 25; // steps from the origin; edges further away have no key
const ROW = 2 * REACH;

export class EdgeSet {
  #keys = new Float64Array(FIRST_CAPACITY); // a hash table; 0 is free
  #size = 0;

  /** Add the edge from `x`, `y` to the north or the east. Returns whether it is new. */
  add(x, y, isNorth) {
    if (Math.abs(x) >= REACH || Math.abs(y) >= REACH) return true;
    const key = ((y + REACH) * ROW + (x + REACH)) * 2 + Number(isNorth);
    if (2 * this.#size >= this.#keys.length) this.#grow();
    const at = find(this.#keys, key);
    if (this.#keys[at] === key) return false;
    this.#keys[at] = key;
    this.#size += 1;
    return true;
  }

  #grow() {
    const keys = new Float64Array(2 * this.#keys.length);
    for (const key of this.#keys) if (key) keys[find(keys, key)] = key;
    this.#keys = keys;
  }
}

/** The index of a key, or of the free place for it. */
function find(keys, key) {
  const mask = keys.length - 1;
  const high = (key / 2 ** 32) | 0;
  const hash = Math.imul((key | 0) ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b);
  let at = (hash ^ (hash >>> 15)) & mask;
  while (keys[at] !== 0 && keys[at] !== key) at = (at + 1) & mask;
  return at;
}
