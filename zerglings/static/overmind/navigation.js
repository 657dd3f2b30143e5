/** Shows what the user has searched for, or what the address names. */

import { parseLink } from "./address.js";
import { getZergling } from "./api.js";
import { locationText, shortId } from "./format.js";
import { find } from "./search.js";

const CLOSE_UP = 40; // CSS pixels per step, at least
const NOT_FOUND = 404;

export class Navigation {
  /** Called after a link that names no zergling. */
  onrefused = () => {};
  #link = null; // the one to follow, until the user goes elsewhere

  /** `notice` is called with a sentence and whether it is an error. */
  constructor({ swarm, selection, explorer, sync, view }, notice) {
    Object.assign(this, { swarm, selection, explorer, sync, view, notice });
  }

  /**
   * Show a location, or select a zergling by the beginning of its id or by a link. Returns, or
   * resolves to, whether it did.
   */
  search(text) {
    this.#link = null;
    const found = find(text, this.swarm);
    const link = found.error && parseLink(text.trim().replace(/^.*#/, ""));
    if (link?.id) return this.follow(link);
    if (found.error) this.notice(found.error, true);
    else if (found.ids) this.#selectFirst(found.ids);
    else {
      this.view.goTo(found.x, found.y, CLOSE_UP);
      this.notice(`Here is ${locationText(found.x, found.y)}.`);
    }
    return !found.error;
  }

  /**
   * Select the zergling of a link as soon as the service has answered that it lives, unless the
   * user has followed another link, searched or selected another zergling by then. Resolves to
   * whether it did.
   */
  async follow(link) {
    this.#link = link;
    const { id, step, error } = link;
    if (error) return this.#refuse(error);
    const before = this.selection.id;
    const isOutdated = () => this.#link !== link || ![before, null].includes(this.selection.id);
    try {
      this.sync.applyState(await getZergling(id));
      if (isOutdated()) return;
    } catch (failure) {
      if (isOutdated()) return;
      if (failure.status === NOT_FOUND) return this.#refuse(`No living zergling has the id ${id}.`);
      return this.notice(failure.message, true); // the link may be right
    }
    this.selection.select(id);
    this.showSelected();
    this.explorer.goTo(step);
    return true;
  }

  #refuse(sentence) {
    this.notice(sentence, true);
    this.onrefused();
  }

  #selectFirst([id, ...others]) {
    this.selection.select(id);
    const { x, y } = this.showSelected();
    const start = others.length ? "Several ids begin like this; here is" : "Found";
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
