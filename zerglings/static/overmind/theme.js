/** The colours of the page's theme, for those who paint. Colours themselves are in theme.css. */

const NAMES = ["paper", "beyond", "line", "axis", "ink", "muted", "glow", "eye", "pupil"];
const FACINGS = ["north", "east", "south", "west"];
const QUERIES = ["(prefers-color-scheme: dark)", "(forced-colors: active)"];

export class Theme {
  /** `onchange` is called when the person switches between light and dark. */
  constructor(onchange) {
    this.#read();
    for (const query of QUERIES) {
      matchMedia(query).addEventListener("change", () => {
        this.#read();
        onchange();
      });
    }
  }

  #read() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    for (const name of NAMES) this[name] = colour(name);
    this.facings = FACINGS.map(colour);
    this.shells = FACINGS.map((name) => colour(`${name}-shell`));
    this.font = style.getPropertyValue("--mono").trim();
  }
}

/** Whether the person wants things to stay calm. */
export function isCalm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
