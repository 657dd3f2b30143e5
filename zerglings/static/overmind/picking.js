/** Finds the zergling at a point of the map, and a free location for a new one. */

const REACH = 14; // CSS pixels of tolerance, for fingertips
const RINGS = 6; // steps: how far to look for a free location

/** The slot of the zergling at a point, or -1; of several, the one after `current`. */
export function pick(point, { swarm, camera, current }) {
  const reach = Math.max(0.75, REACH / camera.scale);
  const middle = camera.locationAt(point.left, point.top);
  const found = [];
  let nearest = Infinity;
  const { slots, count } = swarm.within(around(middle, Math.ceil(reach)));
  for (let n = 0; n < count; n += 1) {
    const slot = slots[n];
    const left = camera.screenX(swarm.xs[slot]);
    const top = camera.screenY(swarm.ys[slot]);
    const distance = Math.hypot(left - point.left, top - point.top);
    if (distance > reach * camera.scale || distance > nearest) continue;
    if (distance < nearest) found.length = 0;
    nearest = distance;
    found.push(slot);
  }
  found.sort((a, b) => a - b);
  return found.length ? found[(found.indexOf(current) + 1) % found.length] : -1;
}

/** The free location nearest to `x`, `y`; if there is none, `x`, `y` itself. */
export function freeLocation(swarm, { x, y }) {
  for (let ring = 0; ring <= RINGS; ring += 1) {
    for (const place of ringAround(x, y, ring)) {
      const isFree = swarm.within(around(place, 0)).count === 0;
      if (isFree && Number.isSafeInteger(place.x) && Number.isSafeInteger(place.y)) return place;
    }
  }
  return { x, y };
}

function around({ x, y }, reach) {
  return { minX: x - reach, maxX: x + reach, minY: y - reach, maxY: y + reach };
}

function* ringAround(x, y, ring) {
  for (let dy = ring; dy >= -ring; dy -= 1) {
    for (let dx = -ring; dx <= ring; dx += 1) {
      if (Math.max(Math.abs(dx), Math.abs(dy)) === ring) yield { x: x + dx, y: y + dy };
    }
  }
}
