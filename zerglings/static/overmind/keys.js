/** Keys to actions; not while somebody types, and never with a key that the browser may mean. */

const FIELDS = "input, textarea, select, [contenteditable]";

/** Call `actions[name]()` for the key of that name; letters count in either case. */
export function listen(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    if (event.target.closest(FIELDS) || document.querySelector("dialog[open]")) return;
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
