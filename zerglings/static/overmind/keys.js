/** Keys to actions; not while somebody types, and never with a key that the browser may mean. */

const FIELDS = "input, textarea, select, [contenteditable]";

/**
 * Call `actions[name]()` for the key of that name; letters count in either case. Those in `once`
 * are called once however long the key is held.
 */
export function listen(actions, once) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    if (event.target.closest(FIELDS) || document.querySelector("dialog[open]")) return;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = actions[name];
    if (!action) return;
    event.preventDefault();
    if (!event.repeat || !once.includes(name)) action();
  });
}
