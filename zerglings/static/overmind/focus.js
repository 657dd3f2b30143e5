/** Where the focus goes when the part of the page that has it is hidden. */

/** Show or hide a part; the focus goes to `refuge` rather than away with it. */
export function setHidden(part, isHidden, refuge) {
  if (isHidden && part.contains(document.activeElement)) refuge.focus({ preventScroll: true });
  part.hidden = isHidden;
}
