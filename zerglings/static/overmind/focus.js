/** Keeps the keyboard focus on a visible element. */

/** Show or hide an element; if it has the focus, move the focus to `fallback`. */
export function setHidden(element, isHidden, fallback) {
  if (isHidden && element.contains(document.activeElement)) fallback.focus({ preventScroll: true });
  element.hidden = isHidden;
}
