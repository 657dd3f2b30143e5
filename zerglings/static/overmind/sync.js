/** Updates the model from the list, from events and from responses to commands. */

import { countOf } from "./api.js";
import { backoffDelay, sleep, whenVisible } from "./backoff.js";
import { readList } from "./listing.js";
import { ROOT } from "./root.js";
import { FACINGS } from "./swarm.js";
import { prefersReducedMotion } from "./theme.js";

const LIST = `${ROOT}zerglings/`;

export class Sync {
  /** Called after each update; with an id if it concerned a single zergling. */
  onchange = () => {};
  /** Called when reading the list begins and when it is complete. */
  onlistchange = () => {};
  isComplete = false;
  #reading = null;

  constructor(swarm, animations) {
    this.swarm = swarm;
    this.animations = animations;
  }

  /** Read the list after a new connection, unless it is complete and kept current by events. */
  loadIfNeeded() {
    if (!this.isComplete && !this.#reading) this.reload();
  }

  /** Read the list from the start, with retries until it is complete. */
  async reload() {
    this.#reading?.abort();
    const reading = new AbortController();
    this.#reading = reading;
    this.isComplete = false;
    this.onlistchange();
    for (let attempt = 0; !reading.signal.aborted; attempt += 1) {
      try {
        await this.#readOnce(reading.signal);
        this.#reading = null;
        this.isComplete = true;
        this.onlistchange();
        return;
      } catch {
        // The list failed, or a newer reading has replaced this one. Retry in the first case only.
        if (!reading.signal.aborted) await sleep(backoffDelay(attempt)).then(whenVisible);
      }
    }
  }

  /** Process an event: `kind` is spawned, moved or died. */
  applyEvent(kind, zergling) {
    if (kind === "died") this.remove(zergling.id);
    else this.applyState(zergling, zergling.commandCount);
  }

  /** Process a zergling in an event or a response. */
  applyState(zergling, count = countOf(zergling)) {
    const { id, location, facing } = zergling;
    const { swarm } = this;
    const before = swarm.update(id, location.x, location.y, FACINGS.indexOf(facing), count);
    if (before && !document.hidden) {
      const { slot } = before;
      const { x, y } = location;
      const now = performance.now();
      const isReduced = prefersReducedMotion();
      this.animations.add(slot, x, y, swarm.facings[slot], before, now, isReduced);
    }
    this.onchange(id);
  }

  /** Remove a zergling that has died: after its event or a 404. */
  remove(id) {
    const slot = this.swarm.find(id);
    if (slot >= 0) this.animations.forget(slot);
    this.swarm.remove(id);
    this.onchange(id);
  }

  async #readOnce(signal) {
    const { swarm } = this;
    swarm.beginList();
    await readList(LIST, signal, (entries) => {
      for (const { id, location, facing } of entries) {
        swarm.updateFromList(id, location.x, location.y, FACINGS.indexOf(facing));
      }
      if (entries.length) this.onchange();
    });
    swarm.endList();
    this.onchange();
  }
}
