/** Shows what the user has searched for. */

import { locationText, shortId } from "./format.js";
import { find } from "./search.js";

const CLOSE_UP = 40; // CSS pixels per step, at least

export class Navigation {
  /** `notice` is called with a sentence and whether it is an error. */
  constructor({ swarm, selection, view }, notice) {
    Object.assign(this, { swarm, selection, explorer, sync, view, notice });
  }

  /** Show a location, or select a zergling by the beginning of its id. */
  search(text) {
    const found = find(text, this.swarm);
    if (found.error) return this.notice(found.error, true);
    if (!found.ids) {
      this.view.goTo(found.x, found.y, CLOSE_UP);
      return this.notice(`Here is ${locationText(found.x, found.y)}.`);
    }
    const [id] = found.ids;
    this.selection.select(id);
    const { x, y } = this.showSelected();
    const isOnly = found.ids.length === 1;
    const start = isOnly ? "Found" : "Several ids begin like this; here is";
    this.notice(`${start} ${shortId(id)} at ${locationText(x, y)}.`);
  }

  /** Show the selected zergling, at least at `CLOSE_UP`; returns its location. */
  showSelected() {
    const { slot } = this.selection;
    if (slot < 0) return null;
    const [x, y] = [this.swarm.xs[slot], this.swarm.ys[slot]];
    this.view.goTo(x, y, CLOSE_UP);
    return { x, y };
  }
}
