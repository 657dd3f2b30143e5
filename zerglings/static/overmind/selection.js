/** Which zergling is selected: by its id, because slots are used again. */

export class Selection {
  id = null;
  /** Called after another one, or nobody, was selected. */
  onchange = () => {};

  constructor(swarm) {
    this.swarm = swarm;
  }

  /** The slot of the selected one; -1 where nobody is, or it has gone. */
  get slot() {
    return this.id === null ? -1 : this.swarm.find(this.id);
  }

  select(id) {
    if (this.id === id) return;
    this.id = id;
    this.onchange();
  }
}
