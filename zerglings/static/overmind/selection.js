/** The selected zergling, kept by id because slots are reused. */

export class Selection {
  id = null;
  /** Called after the selection has changed. */
  onchange = () => {};

  constructor(swarm) {
    this.swarm = swarm;
  }

  /** The slot of the selected zergling; -1 if there is none or it has died. */
  get slot() {
    return this.id === null ? -1 : this.swarm.find(this.id);
  }

  select(id) {
    if (this.id === id) return;
    this.id = id;
    this.onchange();
  }
}
