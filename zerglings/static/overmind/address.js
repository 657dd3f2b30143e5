/** The address of the page: `#<id>` selects a zergling, `#<id>@<step>` shows it after `step` commands. */

import { ROOT } from "./root.js";
import { isUuid } from "./uuid.js";

const LINK = /^([^@]*)(?:@([0-9]{1,15}))?$/;
const PAUSE = 250; // milliseconds: browsers refuse to change the address too often

export class Address {
  /** Called with `{id, step}` or `{error}` when the user has changed the address. */
  onchange = () => {};
  #timer = 0;
  #wanted = "";
  #known = location.hash; // as it was last read or set

  /** Read the address now, and again after each change of it by the user. */
  start() {
    addEventListener("hashchange", () => this.#read());
    this.#read();
  }

  /**
   * Update the address soon: `id` is null for no zergling, `step` is null for now. If both are as
   * before, a link that the service has not answered stays in the address.
   */
  set(id, step) {
    const wanted = id === null ? "" : fragment(id, step);
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    this.restore();
  }

  /** Soon return to the address that was set last, after a wrong link. */
  restore() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      // If the user has just changed the address, a hashchange event follows.
      if (this.#known !== location.hash || this.#wanted === location.hash) return;
      history.replaceState(null, "", location.pathname + location.search + this.#wanted);
      this.#known = location.hash;
    }, PAUSE);
  }

  #read() {
    clearTimeout(this.#timer); // the address that was to be set is out of date
    this.#timer = 0;
    this.#known = location.hash;
    const link = parseLink(location.hash.slice(1));
    if (link) this.onchange(link);
  }
}

/** The URL that shows a zergling, at a step unless that is null. */
export function linkTo(id, step) {
  return location.origin + ROOT + fragment(id, step);
}

/** `{id, step}`, `{error}` with a sentence, or null if the text is empty or names an element. */
export function parseLink(text) {
  if (!text || document.getElementById(text)) return null;
  const parts = LINK.exec(text.replace(/%40/i, "@"));
  const id = parts?.[1].toLowerCase();
  if (!parts || !isUuid(id)) {
    return { error: "The address should end with # and a zergling’s id, or with #id@step." };
  }
  return { id, step: parts[2] === undefined ? null : Number(parts[2]) };
}

function fragment(id, step) {
  return step === null ? `#${id}` : `#${id}@${step}`;
}
