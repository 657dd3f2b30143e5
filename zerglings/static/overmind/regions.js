/** Shows, beside the name of this region, the other regions that it is behind. */

import { getRegions } from "./api.js";
import { sleep, whenVisible } from "./backoff.js";
import { durationText } from "./format.js";

const PERIOD = 30_000; // milliseconds between two requests
const SHOWN_FROM = 60; // seconds behind another region
const UNAUTHORIZED = 401;

export class Regions {
  /**
   * `behind` is a live region with the names. `by` is outside it, so that screen readers do not
   * read out each new minute.
   */
  constructor({ behind, by }) {
    Object.assign(this, { behind, by });
  }

  /** Request the regions while the page is visible, until the token is rejected. */
  async watch() {
    for (;;) {
      await whenVisible();
      const { answer, error } = await getRegions();
      this.#show(answer?.others ?? []);
      if (error?.status === UNAUTHORIZED) return;
      await sleep(PERIOD);
    }
  }

  #show(others) {
    const seconds = others.map(({ secondsBehind }) => Math.max(...Object.values(secondsBehind)));
    const late = others.filter((_, n) => seconds[n] >= SHOWN_FROM).map(({ region }) => region);
    const names = late.length ? `is behind ${late.join(", ")}` : "";
    if (this.behind.textContent !== names) this.behind.textContent = names;
    const time = durationText(Math.max(0, ...seconds));
    this.by.textContent = late.length ? `by ${late.length > 1 ? "up to " : ""}${time}` : "";
  }
}
