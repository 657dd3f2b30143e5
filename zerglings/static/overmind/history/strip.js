/**
 * All commands of the selected zergling, newest first, in a box that scrolls. Only the rows in the
 * box exist, so that any number of commands can be scrolled through.
 */

const SPARE_ROWS = 4; // above and below those in the box
const TITLES = { L: "left", R: "right", M: "move" };

export class Strip {
  /** Called with the step after a command that the user has clicked. */
  onstep = () => {};
  /** Called when commands come into view that are not known. */
  onmissing = () => {};
  #explorer = null;
  #shownStep = null;

  constructor({ box, list }) {
    Object.assign(this, { box, list });
    box.addEventListener("scroll", () => this.#render());
    // The keys that scroll the box would move the map otherwise.
    box.addEventListener("keydown", (event) => {
      if (/^(Arrow|Page|Home|End)/.test(event.key)) event.stopPropagation();
    });
    list.addEventListener("click", (event) => {
      const item = event.target.closest("li");
      if (item) this.onstep(Number(item.dataset.step));
    });
    new ResizeObserver(() => this.#render()).observe(box);
  }

  show(explorer) {
    this.#explorer = explorer;
    this.#render();
    const step = explorer.isNow || !explorer.history ? null : explorer.step;
    if (step !== this.#shownStep) this.#reveal(explorer.step);
    this.#shownStep = step;
  }

  /** Scroll to the command that led to a step. */
  #reveal(step) {
    if (!this.box.clientWidth) return; // the panel is hidden
    const { columns, rowHeight } = this.#measure();
    const top = Math.floor((this.#count - Math.max(1, step)) / columns) * rowHeight;
    const { scrollTop, clientHeight } = this.box;
    if (top >= scrollTop && top + rowHeight <= scrollTop + clientHeight) return;
    this.box.scrollTop = top - (clientHeight - rowHeight) / 2;
  }

  get #count() {
    return this.#explorer?.history?.count ?? 0;
  }

  #measure() {
    const style = getComputedStyle(this.list);
    const columns = style.gridTemplateColumns.split(" ").length;
    return { columns, rowHeight: parseFloat(style.gridAutoRows) + parseFloat(style.rowGap) };
  }

  #render() {
    if (!this.box.clientWidth) return;
    const { columns, rowHeight } = this.#measure();
    const rows = Math.ceil(this.#count / columns);
    const { scrollTop, clientHeight } = this.box;
    const firstRow = Math.max(0, Math.floor(scrollTop / rowHeight) - SPARE_ROWS);
    const endRow = Math.min(rows, Math.ceil((scrollTop + clientHeight) / rowHeight) + SPARE_ROWS);
    this.list.style.paddingTop = `${firstRow * rowHeight}px`;
    this.list.style.paddingBottom = `${Math.max(0, rows - endRow) * rowHeight}px`;
    this.#fill(firstRow * columns, Math.min(this.#count, endRow * columns));
  }

  /** Show the commands from one number to another; the newest is number 0. */
  #fill(from, to) {
    const number = Math.max(0, to - from);
    while (this.list.children.length > number) this.list.lastChild.remove();
    let isMissing = false;
    for (let n = 0; n < number; n += 1) {
      const item = this.list.children[n] ?? this.list.appendChild(document.createElement("li"));
      isMissing = this.#fillItem(item, this.#count - from - n) || isMissing;
    }
    if (isMissing) this.onmissing();
  }

  /** Show the command of a step; returns whether it is not known. */
  #fillItem(item, step) {
    const { history, isNow } = this.#explorer;
    const isMissing = step <= history.first;
    const word = isMissing ? "·" : history.wordAt(step);
    if (item.textContent !== word) item.textContent = word;
    item.dataset.word = word;
    item.dataset.step = step;
    item.title = `${step}: ${TITLES[word] ?? word}`;
    item.setAttribute("aria-setsize", this.#count);
    item.setAttribute("aria-posinset", this.#count - step + 1);
    if (!isNow && step === this.#explorer.step) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
    return isMissing;
  }
}
