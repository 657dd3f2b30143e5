/** Reads the theme's colours from theme.css, for painting on canvases. */

const NAMES = ["paper", "beyond", "line", "axis", "ink", "muted", "glow", "eye", "pupil", "accent"];
const FACINGS = ["north", "east", "south", "west"];
const QUERIES = ["(prefers-color-scheme: dark)", "(forced-colors: active)"];

export class Theme {
  /** `onchange` is called when the user switches between light, dark and forced colours. */
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

/** Whether the user prefers reduced motion. */
export function prefersReducedMotion() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
