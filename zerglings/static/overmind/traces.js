/**
 * Recent moves: the animation of each step, and the trail behind it. Positions are relative to the
 * end of the move, so that they are exact at any coordinates.
 */

export const STEP_MILLISECONDS = 240;
export const TRAIL_MILLISECONDS = 2600;
const LIMIT = 800; // trails; the oldest are dropped first
const LEAP = 40; // steps; longer moves are not animated

export class Traces {
  trails = [];
  #motions = new Map(); // by slot

  /** Add a move of a slot from `before` to `x`, `y`. */
  add(slot, x, y, facing, before, now, isCalm) {
    const dx = before.x - x;
    const dy = before.y - y;
    const isLeap = Math.abs(dx) + Math.abs(dy) > LEAP;
    const isNew = before.isNew;
    this.trails.push({ x, y, dx: isLeap ? 0 : dx, dy: isLeap ? 0 : dy, facing, isNew, start: now });
    if (this.trails.length > LIMIT) this.trails.splice(0, this.trails.length - LIMIT);
    if (isCalm || isLeap) return this.forget(slot);
    const rest = this.at(slot, now);
    this.#motions.set(slot, {
      dx: dx + (rest?.dx ?? 0),
      dy: dy + (rest?.dy ?? 0),
      turn: quarters(before.facing, facing) + (rest?.turn ?? 0),
      isNew,
      start: now,
    });
  }

  forget(slot) {
    this.#motions.delete(slot);
  }

  get movingSlots() {
    return this.#motions.keys();
  }

  isMoving(slot) {
    return this.#motions.has(slot);
  }

  /** A slot's animated offset from its location; null after the animation. */
  at(slot, now) {
    const motion = this.#motions.get(slot);
    if (!motion) return null;
    const part = Math.min(1, Math.max(0, (now - motion.start) / STEP_MILLISECONDS));
    const left = (1 - part) ** 3;
    return {
      dx: motion.dx * left,
      dy: motion.dy * left,
      turn: motion.turn * left,
      size: motion.isNew ? popped(part) : 1,
    };
  }

  /** Drop finished trails and animations; returns whether an animation has ended. */
  settle(now) {
    let fresh = 0;
    while (fresh < this.trails.length && now - this.trails[fresh].start > TRAIL_MILLISECONDS) {
      fresh += 1;
    }
    if (fresh) this.trails.splice(0, fresh);
    let hasArrived = false;
    for (const [slot, motion] of this.#motions) {
      if (now - motion.start < STEP_MILLISECONDS) continue;
      this.#motions.delete(slot);
      hasArrived = true;
    }
    return hasArrived;
  }

  get isEmpty() {
    return !this.trails.length && !this.#motions.size;
  }

  clear() {
    this.trails = [];
    this.#motions.clear();
  }
}

/** Right quarter turns from the facing `to` back to `from`, the short way: -1, 0, 1 or 2. */
function quarters(from, to) {
  const turn = (from - to + 4) % 4;
  return turn === 3 ? -1 : turn;
}

function popped(part) {
  return part < 0.7 ? (part / 0.7) * 1.15 : 1.15 - ((part - 0.7) / 0.3) * 0.15;
}
