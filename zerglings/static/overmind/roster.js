/**
 * The list of zerglings in view, for keyboards and screen readers, at most `ROWS` long. Rows are in
 * the order of slots, so that they stay where they are while zerglings move.
 */

import { countText, facingName, numberText, locationText, shortId } from "./format.js";

const ROWS = 50;
const GAP = 250; // milliseconds between two updates, at least

export class Roster {
  /** Called after a row was clicked. */
  onselect = () => {};
  #timer = 0;
  #ids = [];

  constructor({ list, summary }, { swarm, camera, selection }) {
    Object.assign(this, { list, summary, swarm, camera, selection });
    list.addEventListener("click", (event) => {
      const row = event.target.closest("li");
      if (!row) return;
      selection.select(row.dataset.id);
      this.onselect();
    });
    list.addEventListener("keydown", (event) => this.#onkey(event));
  }

  /** Update the list soon, unless the page is in the background. */
  refresh() {
    if (this.#timer || document.hidden) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.#render();
    }, GAP);
  }

  #render() {
    const { swarm } = this;
    const box = this.camera.box();
    const visible = swarm.within(box);
    const chosen = lowest(visible, ROWS);
    const selected = this.selection.slot;
    // List the selected zergling too if it is in view but not among the lowest slots.
    if (selected >= 0 && !chosen.includes(selected) && isWithin(box, swarm, selected)) {
      chosen[chosen.length - 1] = selected;
    }
    this.#summarise(visible.count, chosen.length);
    this.#ids = chosen.map((slot) => swarm.idOf(slot));
    while (this.list.children.length > chosen.length) this.list.lastChild.remove();
    chosen.forEach((slot, n) => this.#row(n, slot));
    this.#markSelected();
  }

  #summarise(inView, listed) {
    const rest = inView - listed;
    const away = this.swarm.size - inView;
    const parts = [`${countText(inView, "zergling", "zerglings")} in view`];
    if (rest) parts.push(`${listed} of them are listed`);
    if (away) parts.push(`${numberText(away)} elsewhere`);
    const text = `${parts.join(", ")}.`;
    if (this.summary.textContent !== text) this.summary.textContent = text;
  }

  #row(n, slot) {
    const { swarm } = this;
    const row = this.list.children[n] ?? this.list.appendChild(newRow(n));
    const id = this.#ids[n];
    const facing = swarm.facings[slot];
    const texts = [shortId(id), locationText(swarm.xs[slot], swarm.ys[slot]), facingName(facing)];
    row.dataset.id = id;
    row.dataset.facing = facingName(facing);
    row.querySelectorAll("span").forEach((cell, column) => {
      if (cell.textContent !== texts[column]) cell.textContent = texts[column];
    });
  }

  #markSelected() {
    let active = "";
    for (const row of this.list.children) {
      const isSelected = row.dataset.id === this.selection.id;
      row.setAttribute("aria-selected", String(isSelected));
      if (isSelected) active = row.id;
    }
    if (active) this.list.setAttribute("aria-activedescendant", active);
    else this.list.removeAttribute("aria-activedescendant");
  }

  #onkey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !this.#ids.length) return;
    const at = this.#ids.indexOf(this.selection.id);
    const last = this.#ids.length - 1;
    const down = Math.min(last, at + 1);
    const up = Math.max(0, at - 1);
    const next = { ArrowDown: down, ArrowUp: up, Home: 0, End: last }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    event.stopPropagation(); // outside the list, arrow keys move the map
    this.selection.select(this.#ids[next]);
    this.#markSelected();
    this.list.children[next].scrollIntoView({ block: "nearest" });
  }
}

function isWithin(box, { xs, ys }, slot) {
  const [x, y] = [xs[slot], ys[slot]];
  return x >= box.minX && x <= box.maxX && y >= box.minY && y <= box.maxY;
}

/** The lowest slots in ascending order, at most `limit`. */
function lowest({ slots, count }, limit) {
  const chosen = [];
  for (let n = 0; n < count; n += 1) {
    const slot = slots[n];
    if (chosen.length === limit) {
      if (slot > chosen[limit - 1]) continue;
      chosen.pop();
    }
    let at = chosen.length;
    while (at && chosen[at - 1] > slot) at -= 1;
    chosen.splice(at, 0, slot);
  }
  return chosen;
}

function newRow(n) {
  const row = document.createElement("li");
  row.id = `zergling-${n}`;
  row.setAttribute("role", "option");
  for (const name of ["id", "place", "facing"]) {
    const cell = document.createElement("span");
    cell.className = name;
    // Without the space, screen readers would read the cells as one word.
    row.append(cell, " ");
  }
  return row;
}
