/**
 * The model: all known zerglings, in typed arrays with one slot each.
 * Independent of the network and the screen.
 */

import { Cells } from "./cells.js";
import { IdTable } from "./idtable.js";
import { WORDS, pack, unpack } from "./uuid.js";

export const FACINGS = "NESW";
const FREE = 255; // the facing of an unused slot
const UNKNOWN = -1; // the count of a zergling from the list, which has no counts
const MAX_DEAD = 1000; // remembered ids of dead zerglings, against late responses
const FIRST_CAPACITY = 1024;
const SCAN_SLOTS_PER_LOOKUP = 200; // a linear scan visits as many in the time of one cell lookup

export class Swarm {
  size = 0;
  /** Incremented with every change, so that views can detect changes. */
  version = 0;
  #top = 0; // slots from here on were never used
  #free = [];
  #table = new IdTable();
  #key = new Uint32Array(WORDS);
  #reading = 0; // number of the present or last reading of the list
  #isReading = false;
  #dead = new Set(); // ids that died since that reading began, oldest first
  #newest = -1;
  #cells;
  #seenIn = new Uint32Array(0); // by slot: the last reading whose list or events had it
  #updatedIn = new Uint32Array(0); // by slot: the last reading during which an event had it

  constructor() {
    this.#resize(FIRST_CAPACITY);
  }

  /** The slot of an id, or -1. */
  find(id) {
    pack(id, this.#key, 0);
    return this.#table.find(this.words, this.#key);
  }

  idOf(slot) {
    return unpack(this.words, slot * WORDS);
  }

  isAlive(slot) {
    return this.facings[slot] !== FREE;
  }

  /**
   * Begin a reading of the list. Events from now on take precedence over the list. Earlier ones do
   * not, because the store may have been replaced by an older one with lower counts.
   */
  beginList() {
    this.#reading += 1;
    this.#isReading = true;
    this.counts.fill(UNKNOWN);
    this.#dead.clear();
  }

  /** Process an entry of the list. */
  updateFromList(id, x, y, facing) {
    if (this.#dead.size && this.#dead.has(id)) return;
    const slot = this.find(id);
    if (slot < 0) this.#spawn(x, y, facing, UNKNOWN);
    else if (this.#updatedIn[slot] !== this.#reading) this.#place(slot, x, y, facing);
    this.#seenIn[slot < 0 ? this.#newest : slot] = this.#reading;
  }

  /** End the reading: remove zerglings that neither the list nor an event had meanwhile. */
  endList() {
    this.#isReading = false;
    for (let slot = 0; slot < this.#top; slot += 1) {
      if (this.isAlive(slot) && this.#seenIn[slot] !== this.#reading) this.#freeSlot(slot);
    }
  }

  /**
   * Process a zergling's state from an event or a response; `count` is its number of commands.
   * Returns its previous state, `{slot, isNew, x, y, facing}`, or null if the state is not new: it
   * was known, is older than the known one, or the zergling has died.
   */
  update(id, x, y, facing, count) {
    if (this.#dead.has(id)) return null;
    const slot = this.find(id);
    if (slot < 0) {
      this.#spawn(x, y, facing, count);
      this.#markCurrent(this.#newest);
      return { slot: this.#newest, isNew: true, x, y, facing };
    }
    if (count < this.counts[slot]) return null;
    this.#markCurrent(slot);
    const before = { slot, isNew: false, x: this.xs[slot], y: this.ys[slot], facing: 0 };
    before.facing = this.facings[slot];
    this.counts[slot] = count;
    if (before.x === x && before.y === y && before.facing === facing) return null;
    this.#place(slot, x, y, facing);
    return before;
  }

  /** Remove a zergling that has died; returns whether it was known. */
  remove(id) {
    this.#dead.add(id);
    // During a reading keep all: the list may still contain any of them.
    while (!this.#isReading && this.#dead.size > MAX_DEAD) {
      this.#dead.delete(this.#dead.values().next().value);
    }
    const slot = this.find(id);
    if (slot >= 0) this.#freeSlot(slot);
    return slot >= 0;
  }

  /** The slots within a rectangle: the first `count` of `slots`, valid until the next call. */
  within(box) {
    if (Cells.across(box) * SCAN_SLOTS_PER_LOOKUP < this.size) {
      return { slots: this.found, count: this.#cells.within(box, this.xs, this.ys, this.found) };
    }
    const { xs, ys, facings, found } = this;
    let count = 0;
    for (let slot = 0; slot < this.#top; slot += 1) {
      const x = xs[slot];
      const y = ys[slot];
      if (x < box.minX || x > box.maxX || y < box.minY || y > box.maxY) continue;
      if (facings[slot] === FREE) continue;
      found[count] = slot;
      count += 1;
    }
    return { slots: found, count };
  }

  /** The smallest rectangle around all zerglings, or null without any. */
  extent() {
    if (!this.size) return null;
    const box = { minX: Infinity, minY: Infinity, maxX: -Infinity, maxY: -Infinity };
    for (let slot = 0; slot < this.#top; slot += 1) {
      if (this.facings[slot] === FREE) continue;
      box.minX = Math.min(box.minX, this.xs[slot]);
      box.maxX = Math.max(box.maxX, this.xs[slot]);
      box.minY = Math.min(box.minY, this.ys[slot]);
      box.maxY = Math.max(box.maxY, this.ys[slot]);
    }
    return box;
  }

  /** The slots of at most `limit` zerglings whose id starts with `start`. */
  withPrefix(start, limit) {
    const digits = start.replaceAll("-", "").slice(0, 8);
    const rest = 2 ** (4 * (8 - digits.length));
    const least = parseInt(digits, 16) * rest;
    const slots = [];
    for (let slot = 0; slot < this.#top && slots.length < limit; slot += 1) {
      const word = this.words[slot * WORDS];
      if (word < least || word >= least + rest || !this.isAlive(slot)) continue;
      if (this.idOf(slot).startsWith(start)) slots.push(slot);
    }
    return slots;
  }

  #markCurrent(slot) {
    this.#seenIn[slot] = this.#reading;
    if (this.#isReading) this.#updatedIn[slot] = this.#reading;
  }

  #spawn(x, y, facing, count) {
    if (!this.#free.length && this.#top === this.xs.length) this.#resize(this.#top * 2);
    const slot = this.#free.length ? this.#free.pop() : this.#top++;
    this.words.set(this.#key, slot * WORDS); // `find` has left the id there
    this.xs[slot] = x;
    this.ys[slot] = y;
    this.facings[slot] = facing;
    this.counts[slot] = count;
    this.#table.add(this.words, slot);
    this.#cells.add(slot, x, y);
    this.#newest = slot;
    this.size += 1;
    this.version += 1;
  }

  #place(slot, x, y, facing) {
    const oldX = this.xs[slot];
    const oldY = this.ys[slot];
    if (oldX === x && oldY === y && this.facings[slot] === facing) return;
    const isElsewhere = !Cells.isSame(oldX, oldY, x, y);
    if (isElsewhere) this.#cells.remove(slot, oldX, oldY);
    this.xs[slot] = x;
    this.ys[slot] = y;
    this.facings[slot] = facing;
    if (isElsewhere) this.#cells.add(slot, x, y);
    this.version += 1;
  }

  #freeSlot(slot) {
    this.#table.remove(this.words, slot);
    this.#cells.remove(slot, this.xs[slot], this.ys[slot]);
    this.facings[slot] = FREE;
    this.#updatedIn[slot] = 0;
    this.#free.push(slot);
    this.size -= 1;
    this.version += 1;
  }

  #resize(capacity) {
    this.words = grown(Uint32Array, capacity * WORDS, this.words);
    this.xs = grown(Float64Array, capacity, this.xs);
    this.ys = grown(Float64Array, capacity, this.ys);
    this.facings = grown(Uint8Array, capacity, this.facings);
    this.counts = grown(Float64Array, capacity, this.counts);
    this.#seenIn = grown(Uint32Array, capacity, this.#seenIn);
    this.#updatedIn = grown(Uint32Array, capacity, this.#updatedIn);
    this.found = new Int32Array(capacity);
    this.#cells = new Cells(capacity);
    for (let slot = 0; slot < this.#top; slot += 1) {
      if (this.isAlive(slot)) this.#cells.add(slot, this.xs[slot], this.ys[slot]);
    }
  }
}

function grown(Kind, length, old) {
  const array = new Kind(length);
  if (old) array.set(old);
  return array;
}
