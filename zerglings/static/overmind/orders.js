/** What the user orders: spawning a zergling, and commands to the selected one. */

import { spawn } from "./api.js";
import { CommandQueue } from "./commandqueue.js";
import { locationText, poseText, shortId } from "./format.js";
import { freeLocation } from "./picking.js";

const NOT_FOUND = 404;

export class Orders {
  /** Called with the zergling in the answer to a command. */
  onanswer = () => {};
  #queue = new CommandQueue();

  /** `notice` is called with a sentence and whether it is an error. */
  constructor({ swarm, selection, explorer, sync, view }, notice) {
    Object.assign(this, { swarm, selection, explorer, sync, view, notice });
    this.#queue.ondone = (zergling) => this.#ondone(zergling);
    this.#queue.onerror = (error, id) => {
      if (error.status === NOT_FOUND) sync.remove(id);
      else notice(error.message, true);
    };
  }

  /** Spawn a zergling at the free location nearest to the wanted one, and select it. */
  async spawn(wanted) {
    try {
      const zergling = await spawn(this.spawnFields(wanted));
      this.sync.applyState(zergling);
      this.selection.select(zergling.id);
      const { x, y } = zergling.location;
      this.notice(`${shortId(zergling.id)} has hatched at ${locationText(x, y)}.`);
      this.view.bringIntoView(x, y);
    } catch (error) {
      this.notice(error.message, true);
    }
  }

  /** Send a command to the selected zergling. */
  command(word) {
    if (this.selection.id === null) {
      return this.notice("Select a zergling first: click one, or spawn one.");
    }
    if (!this.explorer.isNow) this.explorer.goToNow(); // where the command will take effect
    this.#queue.send(this.selection.id, word);
  }

  /** The fields of the request that spawns a zergling. */
  spawnFields(wanted) {
    return { location: freeLocation(this.swarm, wanted) };
  }

  #ondone(zergling) {
    this.onanswer(zergling);
    const slot = this.swarm.find(zergling.id);
    if (slot < 0) return; // it has died meanwhile
    const { x, y } = zergling.location;
    const facing = this.swarm.facings[slot];
    this.notice(`${shortId(zergling.id)} is at ${poseText({ x, y, facing })}.`);
    if (zergling.id === this.selection.id) {
      this.view.bringIntoView(this.swarm.xs[slot], this.swarm.ys[slot]);
    }
  }
}
