/** Keyboard shortcuts: inactive in form fields and dialogs, and with modifier keys. */

import { CharacterKeys } from "./characterkeys.js";

const FIELDS = "input:not([type=range]), textarea, select, [contenteditable]";
const SLIDER_KEYS = /^(Arrow|Page|Home|End)/;

/**
 * Call `actions[name]()` when the key of that name is pressed; letters are case-insensitive.
 * Actions named in `once` ignore the repetition of a held key. The checkbox `characterKeys` turns
 * the keys of characters off.
 */
export function bindShortcuts(actions, once, characterKeys) {
  const characters = new CharacterKeys(characterKeys);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    if (event.target.closest(FIELDS) || document.querySelector("dialog[open]")) return;
    if (event.target.matches("input") && SLIDER_KEYS.test(event.key)) return;
    const isCharacter = event.key.length === 1;
    if (isCharacter && !characters.areOn) return;
    const name = isCharacter ? event.key.toLowerCase() : event.key;
    const action = actions[name];
    if (!action) return;
    event.preventDefault();
    if (!event.repeat || !once.includes(name)) action();
  });
}
