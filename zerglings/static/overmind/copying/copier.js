/**
 * Copies texts. Browsers have a clipboard on https and on localhost only; elsewhere a dialog shows
 * the text, selected.
 */

export class Copier {
  constructor({ dialog, field }, notice) {
    Object.assign(this, { dialog, field, notice });
  }

  /** Copy a text, and say so with a sentence. */
  async copy(text, sentence) {
    const copying = navigator.clipboard?.writeText(text);
    const isCopied = copying && (await copying.then(() => true, () => false)); // not allowed
    if (isCopied) return this.notice(sentence);
    this.field.value = text;
    this.dialog.showModal();
    this.field.focus();
    this.field.select();
  }
}
