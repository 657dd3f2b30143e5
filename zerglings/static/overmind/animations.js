/**
 * Recent moves: the animation of each step, and the trail behind it. Positions are relative to the
 * end of the move, so that they are exact at any coordinates.
 */

export const STEP_MILLISECONDS = 240;
export const TRAIL_MILLISECONDS = 2600;
const MAX_TRAILS = 800; // the oldest are dropped first
const MAX_ANIMATED_STEPS = 40; // steps; longer moves are not animated

export class Animations {
  trails = [];
  #motions = new Map(); // by slot

  /** Add a move of a slot from `before` to `x`, `y`. */
  add(slot, x, y, facing, before, now, isReduced) {
    const dx = before.x - x;
    const dy = before.y - y;
    const isLong = Math.abs(dx) + Math.abs(dy) > MAX_ANIMATED_STEPS;
    const isNew = before.isNew;
    this.trails.push({ x, y, dx: isLong ? 0 : dx, dy: isLong ? 0 : dy, facing, isNew, start: now });
    if (this.trails.length > MAX_TRAILS) this.trails.splice(0, this.trails.length - MAX_TRAILS);
    if (isReduced || isLong) return this.forget(slot);
    const current = this.at(slot, now);
    this.#motions.set(slot, {
      dx: dx + (current?.dx ?? 0),
      dy: dy + (current?.dy ?? 0),
      turn: quarterTurns(before.facing, facing) + (current?.turn ?? 0),
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
      size: motion.isNew ? popScale(part) : 1,
    };
  }

  /** Drop finished trails and animations; returns whether an animation has ended. */
  removeFinished(now) {
    let fresh = 0;
    while (fresh < this.trails.length && now - this.trails[fresh].start > TRAIL_MILLISECONDS) {
      fresh += 1;
    }
    if (fresh) this.trails.splice(0, fresh);
    let hasEnded = false;
    for (const [slot, motion] of this.#motions) {
      if (now - motion.start < STEP_MILLISECONDS) continue;
      this.#motions.delete(slot);
      hasEnded = true;
    }
    return hasEnded;
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
function quarterTurns(from, to) {
  const turn = (from - to + 4) % 4;
  return turn === 3 ? -1 : turn;
}

function popScale(part) {
  return part < 0.7 ? (part / 0.7) * 1.15 : 1.15 - ((part - 0.7) / 0.3) * 0.15;
}
