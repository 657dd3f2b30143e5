/** Formats locations, facings and numbers. */

const NAMES = ["north", "east", "south", "west"];
const NUMBERS = new Intl.NumberFormat("en");

/** The name of a facing, which is a number from 0 (north) to 3 (west). */
export function facingName(facing) {
  return NAMES[facing];
}

/** A whole number with a real minus sign. */
export function signed(value) {
  return value < 0 ? `−${-value}` : `${value}`;
}

export function locationText(x, y) {
  return `${signed(x)}, ${signed(y)}`;
}

/** A location and a facing, such as "3, −4, facing east". */
export function poseText({ x, y, facing }) {
  return `${locationText(x, y)}, facing ${facingName(facing)}`;
}

/** The first eight characters of an id. */
export function shortId(id) {
  return id.slice(0, 8);
}

export function countText(number, one, many) {
  return `${NUMBERS.format(number)} ${number === 1 ? one : many}`;
}

/** A duration in whole minutes, hours or days, rounded down. */
export function durationText(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} days`;
}

export function numberText(number) {
  return NUMBERS.format(number);
}
