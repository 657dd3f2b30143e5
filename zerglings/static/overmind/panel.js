/** The panel with the details of the selected zergling. */

import { ApiError, countOf, getZergling } from "./api.js";
import { Retries } from "./backoff.js";
import { setHidden } from "./focus.js";
import { facingName, numberText, locationText } from "./format.js";
import { FACINGS } from "./swarm.js";

const GAP = 300; // milliseconds between two requests for the zergling, at least

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
  #retries = new Retries(() => this.refresh());

  /** `focusFallback` gets the focus if the panel has it while being hidden. */
  constructor(root, swarm, focusFallback) {
    Object.assign(this, { root, swarm, focusFallback });
    const part = (name) => root.querySelector(`[data-part="${name}"]`);
    this.#parts = Object.fromEntries(
      ["id", "facing", "place", "count", "more", "compass"].map((n) => [n, part(n)]),
    );
  }

  /** Show a zergling; hide the panel for null. */
  show(id) {
    this.#id = id;
    this.#count = 0;
    this.#retries.reset();
    setHidden(this.root, id === null, this.focusFallback);
    if (id === null) return;
    this.#parts.id.textContent = id;
    this.#parts.count.textContent = "…";
    this.#parts.more.textContent = "";
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

  /** Whether the model knows of more commands than the panel shows. */
  get isBehind() {
    const slot = this.#id === null ? -1 : this.swarm.find(this.#id);
    return slot >= 0 && this.swarm.counts[slot] > this.#count;
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

  /** Show the number of commands in a response. */
  showCount(zergling) {
    const count = countOf(zergling);
    if (zergling.id !== this.#id || count < this.#count) return; // responses can be reordered
    this.#count = count;
    this.#parts.count.textContent = numberText(count);
    this.#parts.more.textContent = count ? "" : "No commands yet. Try M.";
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
      if (id === this.#id) this.#retries.reset();
      this.showCount(zergling);
      this.onload(zergling);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 404) this.onnotfound(id);
      else if (id === this.#id) this.#showFailure(error);
    } finally {
      const isDue = this.#requests.get(id);
      this.#requests.delete(id);
      if (isDue && id === this.#id) this.refresh();
    }
  }

  #showFailure({ message }) {
    this.#parts.more.textContent = message;
    this.#retries.onfailure();
  }
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
