/** Keeps the keyboard focus on a visible element. */

/** Show or hide an element; if it has the focus, move that to `refuge`. */
export function setHidden(part, isHidden, refuge) {
  if (isHidden && part.contains(document.activeElement)) refuge.focus({ preventScroll: true });
  part.hidden = isHidden;
}
