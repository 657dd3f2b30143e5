/**
 * The history of one zergling: its commands and its pose after each. Step n is the moment after n
 * commands, so step 0 is the spawn. The oldest commands may be missing until they are prepended.
 *
 * A pose is `{x, y, facing}`. Independent of the network and the screen.
 */

import { Path, STEP_X, STEP_Y } from "./path.js";

const [LEFT, RIGHT, MOVE, OTHER] = [0, 1, 2, 3];
const CODES = new Map([["L", LEFT], ["R", RIGHT], ["M", MOVE]]);
const WORDS = ["L", "R", "M"];
const GAP = 1024; // steps between two stored poses

export class History {
  /** The lines walked since step `first`. Its origin is the location at that step. */
  path;
  #codes;
  #size; // known commands
  #first; // commands before them
  #others = new Map(); // by step: words that are no commands, as the original service stored them
  #origin; // the location at the first known step
  #poses; // pose after each `GAP` known commands, relative to the origin
  #end; // pose after all known commands, relative to the origin

  /** `words` are the newest of `count` commands, `pose` is the pose after them. */
  constructor(words, count, pose) {
    this.#codes = Uint8Array.from(words, codeOf);
    this.#size = words.length;
    this.#first = count - words.length;
    this.#storeOthers(words, this.#first);
    this.#replayAll(pose);
  }

  /** The first step whose pose is known. */
  get first() {
    return this.#first;
  }

  /** Number of all commands; the last step. */
  get count() {
    return this.#first + this.#size;
  }

  /** The location at step `first`. */
  get origin() {
    return this.#origin;
  }

  /** The rectangle around the known path. */
  get extent() {
    const { box } = this.path;
    const { x, y } = this.#origin;
    return { minX: x + box.minX, maxX: x + box.maxX, minY: y + box.minY, maxY: y + box.maxY };
  }

  /** The command that led to a step, which must be after `first`. */
  wordAt(step) {
    return WORDS[this.#codes[step - this.#first - 1]] ?? this.#others.get(step);
  }

  /** The pose at a step, which must be known. */
  poseAt(step) {
    return this.#absolute(this.#relativePoseAt(step));
  }

  /** The locations at the corners of the path from one step to another, both included. */
  corners(from, to) {
    const pose = this.#relativePoseAt(from);
    const corners = [this.#absolute(pose)];
    for (let n = from - this.#first; n < to - this.#first; n += 1) {
      const facing = pose.facing;
      advance(pose, this.#codes[n]);
      if (pose.facing !== facing) corners.push(this.#absolute(pose));
    }
    corners.push(this.#absolute(pose));
    return corners;
  }

  /**
   * Add newer commands: `words` are the last of `count`, `pose` is the pose after them. Returns
   * whether they continue this history, which is unusable otherwise.
   */
  append(words, count, pose) {
    const start = count - words.length;
    const known = this.count - start;
    if (known < 0 || known > words.length || !this.#agrees(words, start)) return false;
    const added = words.slice(known);
    this.#storeOthers(added, this.count);
    this.#reserve(added.length);
    for (const word of added) this.#codes[this.#size++] = codeOf(word);
    this.#replay(this.#size - added.length);
    const end = this.poseAt(this.count);
    return end.x === pose.x && end.y === pose.y && end.facing === pose.facing;
  }

  /** Add older commands: `words` follow step `start`. Returns whether this history continues them. */
  prepend(words, start) {
    const missing = this.#first - start;
    if (words.length < missing || !this.#agrees(words, start)) return false;
    const pose = this.poseAt(this.count);
    const older = words.slice(0, missing);
    const codes = new Uint8Array(missing + this.#size);
    older.forEach((word, n) => (codes[n] = codeOf(word)));
    codes.set(this.#codes.subarray(0, this.#size), missing);
    this.#codes = codes;
    this.#size = codes.length;
    this.#first = start;
    this.#storeOthers(older, start);
    this.#replayAll(pose);
    return true;
  }

  /** Whether `words`, which follow step `start`, are those known, as far as both reach. */
  #agrees(words, start) {
    const to = Math.min(this.count, start + words.length);
    for (let step = Math.max(this.#first, start); step < to; step += 1) {
      if (this.#codes[step - this.#first] !== codeOf(words[step - start])) return false;
    }
    return true;
  }

  #storeOthers(words, start) {
    words.forEach((word, n) => {
      if (codeOf(word) === OTHER) this.#others.set(start + n + 1, word);
    });
  }

  #reserve(number) {
    if (this.#size + number <= this.#codes.length) return;
    const codes = new Uint8Array(2 * (this.#size + number));
    codes.set(this.#codes.subarray(0, this.#size));
    this.#codes = codes;
  }

  /** Compute the first pose from the last one, then all between. */
  #replayAll(pose) {
    const first = { ...pose };
    for (let n = this.#size - 1; n >= 0; n -= 1) undo(first, this.#codes[n]);
    this.#origin = { x: first.x, y: first.y };
    this.#end = { x: 0, y: 0, facing: first.facing };
    this.#poses = [{ ...this.#end }];
    this.path = new Path();
    this.#replay(0);
  }

  #replay(from) {
    const pose = this.#end;
    for (let n = from; n < this.#size; n += 1) {
      const code = this.#codes[n];
      if (code === MOVE) this.path.add(this.#first + n, pose.x, pose.y, pose.facing);
      advance(pose, code);
      if ((n + 1) % GAP === 0) this.#poses.push({ ...pose });
    }
  }

  #relativePoseAt(step) {
    const known = step - this.#first;
    const stored = Math.floor(known / GAP);
    const pose = { ...this.#poses[stored] };
    for (let n = stored * GAP; n < known; n += 1) advance(pose, this.#codes[n]);
    return pose;
  }

  #absolute({ x, y, facing }) {
    return { x: this.#origin.x + x, y: this.#origin.y + y, facing };
  }
}

function codeOf(word) {
  return CODES.get(word) ?? OTHER;
}

function advance(pose, code) {
  if (code === LEFT) pose.facing = (pose.facing + 3) % 4;
  else if (code === RIGHT) pose.facing = (pose.facing + 1) % 4;
  else if (code === MOVE) {
    pose.x += STEP_X[pose.facing];
    pose.y += STEP_Y[pose.facing];
  }
}

function undo(pose, code) {
  if (code === LEFT) pose.facing = (pose.facing + 1) % 4;
  else if (code === RIGHT) pose.facing = (pose.facing + 3) % 4;
  else if (code === MOVE) {
    pose.x -= STEP_X[pose.facing];
    pose.y -= STEP_Y[pose.facing];
  }
}
