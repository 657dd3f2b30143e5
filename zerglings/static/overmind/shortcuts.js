/** Keyboard shortcuts: inactive in dialogs, with modifier keys, and for keys that a field needs. */

import { CharacterKeys } from "./characterkeys.js";

const FIELDS = "input, textarea, select, [contenteditable]";
const SLIDER_KEYS = /^(Arrow|Page|Home|End)/;
const STEPPING_KEYS = /^([,.<>]|Escape)$/; // no part of a whole number

/**
 * Call `actions[name]()` when the key of that name is pressed; letters are case-insensitive.
 * Actions named in `once` ignore the repetition of a held key. The checkbox `characterKeys` turns
 * the keys of characters off.
 */
export function bindShortcuts(actions, once, characterKeys) {
  const characters = new CharacterKeys(characterKeys);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    if (isFieldKey(event) || document.querySelector("dialog[open]")) return;
    const isCharacter = event.key.length === 1;
    if (isCharacter && !characters.areOn) return;
    const name = isCharacter ? event.key.toLowerCase() : event.key;
    const action = actions[name];
    if (!action) return;
    event.preventDefault();
    if (!event.repeat || !once.includes(name)) action();
  });
}

/** Whether a key was pressed in a form field that needs it. */
function isFieldKey({ target, key }) {
  if (target.matches("input[type=range]")) return SLIDER_KEYS.test(key);
  if (target.matches("input[type=number]")) return !STEPPING_KEYS.test(key);
  return target.closest(FIELDS) !== null;
}
