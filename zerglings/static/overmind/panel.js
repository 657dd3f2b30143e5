/** The panel with the details of the selected zergling. */

import { ApiError, countOf, getZergling } from "./api.js";
import { setHidden } from "./focus.js";
import { countText, facingName, numberText, locationText } from "./format.js";
import { FACINGS } from "./swarm.js";

const SHOWN = 20; // commands
const GAP = 300; // milliseconds between two requests for the zergling, at least
const TITLES = { L: "left", R: "right", M: "move" };

export class Panel {
  /** Called with an id after a 404. */
  onnotfound = () => {};
  /** Called with each zergling that was requested. */
  onload = () => {};
  #parts;
  #id = null;
  #count = 0;
  #timer = 0;
  #requestedAt = -Infinity;
  #requests = new Map(); // by id of a pending request: whether another must follow

  /** `focusFallback` gets the focus if the panel has it while being hidden. */
  constructor(root, swarm, focusFallback) {
    Object.assign(this, { root, swarm, focusFallback });
    const part = (name) => root.querySelector(`[data-part="${name}"]`);
    this.#parts = Object.fromEntries(
      ["id", "facing", "place", "count", "history", "more", "compass"].map((n) => [n, part(n)]),
    );
  }

  /** Show a zergling; hide the panel for null. */
  show(id) {
    this.#id = id;
    this.#count = 0;
    setHidden(this.root, id === null, this.focusFallback);
    if (id === null) return;
    this.#parts.id.textContent = id;
    this.#parts.count.textContent = "…";
    this.#parts.more.textContent = "";
    this.#parts.history.replaceChildren();
    this.refreshPose();
    this.#requestedAt = -Infinity;
    this.refresh();
  }

  /** Update the pose from the model. */
  refreshPose() {
    const slot = this.#id === null ? -1 : this.swarm.find(this.#id);
    if (slot < 0) return;
    const facing = this.swarm.facings[slot];
    const place = locationText(this.swarm.xs[slot], this.swarm.ys[slot]);
    setText(this.#parts.facing, facingName(facing));
    setText(this.#parts.place, place);
    this.#parts.compass.dataset.facing = FACINGS[facing];
  }

  /** Request the zergling soon, at most once every `GAP`. */
  refresh() {
    if (this.#timer || this.#id === null) return;
    const wait = Math.max(0, this.#requestedAt + GAP - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.#load();
    }, wait);
  }

  /** Show a zergling's history from a response. */
  showHistory(zergling) {
    const count = countOf(zergling);
    if (zergling.id !== this.#id || count < this.#count) return; // responses can be reordered
    this.#count = count;
    const words = zergling.commandHistory ?? [];
    this.#parts.count.textContent = numberText(count);
    const newest = words.slice(-SHOWN).reverse();
    const earlier = count - newest.length;
    this.#parts.history.replaceChildren(...newest.map(chip));
    this.#parts.more.textContent = !count
      ? "No commands yet. Try M."
      : earlier
        ? `and ${countText(earlier, "earlier one", "earlier ones")}`
        : "";
  }

  async #load() {
    const id = this.#id;
    if (id === null || document.hidden) return;
    if (this.#requests.has(id)) {
      this.#requests.set(id, true);
      return;
    }
    this.#requests.set(id, false);
    this.#requestedAt = performance.now();
    try {
      const zergling = await getZergling(id);
      this.showHistory(zergling);
      this.onload(zergling);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 404) this.onnotfound(id);
      else if (id === this.#id) this.#parts.more.textContent = error.message;
    } finally {
      const isDue = this.#requests.get(id);
      this.#requests.delete(id);
      if (isDue && id === this.#id) this.refresh();
    }
  }
}

function chip(word) {
  const item = document.createElement("li");
  item.textContent = word;
  item.dataset.word = word;
  item.title = TITLES[word] ?? word;
  return item;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
