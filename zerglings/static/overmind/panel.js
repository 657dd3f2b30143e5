/** The panel with the details of the selected zergling. */

import { ApiError, countOf, look } from "./api.js";
import { setHidden } from "./focus.js";
import { counted, facingName, grouped, placeText } from "./words.js";
import { FACINGS } from "./swarm.js";

const SHOWN = 20; // commands
const GAP = 300; // milliseconds between two requests for the zergling, at least
const SAYS = { L: "left", R: "right", M: "move" };

export class Panel {
  /** Called with an id after a 404. */
  ongone = () => {};
  /** Called with each zergling that was requested. */
  onlook = () => {};
  #parts;
  #id = null;
  #count = 0;
  #timer = 0;
  #lookedAt = -Infinity;
  #looks = new Map(); // by id of a pending request: whether another must follow

  /** `refuge` gets the focus if the panel has it while being hidden. */
  constructor(root, swarm, refuge) {
    Object.assign(this, { root, swarm, refuge });
    const part = (name) => root.querySelector(`[data-part="${name}"]`);
    this.#parts = Object.fromEntries(
      ["id", "facing", "place", "count", "history", "more", "compass"].map((n) => [n, part(n)]),
    );
  }

  /** Show a zergling; hide the panel for null. */
  show(id) {
    this.#id = id;
    this.#count = 0;
    setHidden(this.root, id === null, this.refuge);
    if (id === null) return;
    this.#parts.id.textContent = id;
    this.#parts.count.textContent = "…";
    this.#parts.more.textContent = "";
    this.#parts.history.replaceChildren();
    this.refreshPose();
    this.#lookedAt = -Infinity;
    this.refresh();
  }

  /** Update the pose from the model. */
  refreshPose() {
    const slot = this.#id === null ? -1 : this.swarm.find(this.#id);
    if (slot < 0) return;
    const facing = this.swarm.facings[slot];
    const place = placeText(this.swarm.xs[slot], this.swarm.ys[slot]);
    setText(this.#parts.facing, facingName(facing));
    setText(this.#parts.place, place);
    this.#parts.compass.dataset.facing = FACINGS[facing];
  }

  /** Request the zergling soon, at most once every `GAP`. */
  refresh() {
    if (this.#timer || this.#id === null) return;
    const wait = Math.max(0, this.#lookedAt + GAP - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.#look();
    }, wait);
  }

  /** Show a zergling's history from a response. */
  fill(zergling) {
    const count = countOf(zergling);
    if (zergling.id !== this.#id || count < this.#count) return; // responses can be reordered
    this.#count = count;
    const words = zergling.commandHistory ?? [];
    this.#parts.count.textContent = grouped(count);
    const newest = words.slice(-SHOWN).reverse();
    const earlier = count - newest.length;
    this.#parts.history.replaceChildren(...newest.map(chip));
    this.#parts.more.textContent = !count
      ? "No commands yet. Try M."
      : earlier
        ? `and ${counted(earlier, "earlier one", "earlier ones")}`
        : "";
  }

  async #look() {
    const id = this.#id;
    if (id === null || document.hidden) return;
    if (this.#looks.has(id)) {
      this.#looks.set(id, true);
      return;
    }
    this.#looks.set(id, false);
    this.#lookedAt = performance.now();
    try {
      const zergling = await look(id);
      this.fill(zergling);
      this.onlook(zergling);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 404) this.ongone(id);
      else if (id === this.#id) this.#parts.more.textContent = error.message;
    } finally {
      const isDue = this.#looks.get(id);
      this.#looks.delete(id);
      if (isDue && id === this.#id) this.refresh();
    }
  }
}

function chip(word) {
  const item = document.createElement("li");
  item.textContent = word;
  item.dataset.word = word;
  item.title = SAYS[word] ?? word;
  return item;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
