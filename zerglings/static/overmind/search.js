/** Interprets the search field: a location, or the start of an id. */

import { EDGE } from "./camera.js";

const LOCATION = /^\s*([-−+]?\d{1,16})\s*[,;\s]\s*([-−+]?\d{1,16})\s*$/;
const ID = /^[0-9a-f][0-9a-f-]{0,35}$/;
const MAX_MATCHES = 2; // matches; two are enough to know that there are several

/** Returns `{x, y}`, or `{ids}` of at most two matches, or `{error}` with a sentence. */
export function find(text, swarm) {
  const place = LOCATION.exec(text);
  if (place) {
    const [x, y] = place.slice(1).map((digits) => Number(digits.replace("−", "-")));
    if (Math.abs(x) > EDGE || Math.abs(y) > EDGE) {
      return { error: "That is beyond the edge of the grid, which is at ±9007199254740991." };
    }
    return { x, y };
  }
  const start = text.trim().toLowerCase();
  if (!ID.test(start)) return { error: "Type the beginning of an id, or a place like 3, -4." };
  const ids = swarm.withPrefix(start, MAX_MATCHES).map((slot) => swarm.idOf(slot));
  return ids.length ? { ids } : { error: `No zergling’s id begins with ${start}.` };
}
