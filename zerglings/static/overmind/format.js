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

/** The first eight characters of an id. */
export function shortId(id) {
  return id.slice(0, 8);
}

export function countText(number, one, many) {
  return `${NUMBERS.format(number)} ${number === 1 ? one : many}`;
}

export function numberText(number) {
  return NUMBERS.format(number);
}
