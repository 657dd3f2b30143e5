/** Maps ids to slots: a hash table in one typed array, with open addressing. */

import { WORDS } from "./uuid.js";

const EMPTY = 0;
const REMOVED = -1;

export class IdTable {
  #cells = new Int32Array(2048); // slot + 1, or EMPTY or REMOVED
  #used = 0; // cells that are not EMPTY

  /** The slot whose words in `words` are those at `key[0..3]`, or -1. */
  find(words, key) {
    const mask = this.#cells.length - 1;
    for (let cell = hash(key, 0) & mask; ; cell = (cell + 1) & mask) {
      const entry = this.#cells[cell];
      if (entry === EMPTY) return -1;
      if (entry !== REMOVED && isSame(words, (entry - 1) * WORDS, key)) return entry - 1;
    }
  }

  /** Add a slot that is not in the table yet. */
  add(words, slot) {
    if (this.#used * 2 >= this.#cells.length) this.#rebuild(words);
    this.#insert(words, slot);
  }

  /** Remove a slot that is in the table. */
  remove(words, slot) {
    const mask = this.#cells.length - 1;
    let cell = hash(words, slot * WORDS) & mask;
    while (this.#cells[cell] !== slot + 1) cell = (cell + 1) & mask;
    this.#cells[cell] = REMOVED;
  }

  #insert(words, slot) {
    const mask = this.#cells.length - 1;
    let cell = hash(words, slot * WORDS) & mask;
    while (this.#cells[cell] !== EMPTY) cell = (cell + 1) & mask;
    this.#cells[cell] = slot + 1;
    this.#used += 1;
  }

  #rebuild(words) {
    const old = this.#cells;
    const living = old.reduce((sum, entry) => sum + (entry > EMPTY), 0);
    // Drop the REMOVED entries; grow only if the others need more room.
    this.#cells = new Int32Array(living * 4 > old.length ? old.length * 2 : old.length);
    this.#used = 0;
    for (const entry of old) {
      if (entry !== EMPTY && entry !== REMOVED) this.#insert(words, entry - 1);
    }
  }
}

function hash(words, at) {
  // Ids need not be random, so hash all words.
  let mixed = words[at] ^ Math.imul(words[at + 1], 0x9e3779b1);
  mixed ^= Math.imul(words[at + 2], 0x85ebca6b) ^ Math.imul(words[at + 3], 0xc2b2ae35);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

function isSame(words, at, key) {
  return (
    words[at] === key[0] &&
    words[at + 1] === key[1] &&
    words[at + 2] === key[2] &&
    words[at + 3] === key[3]
  );
}
