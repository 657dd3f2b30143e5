/** The search field. It keeps the focus while the user types, and until something is found. */

export class SearchField {
  /** `search` is called with the text, and returns or resolves to whether it has found something. */
  constructor(form, search) {
    this.input = form.querySelector("input");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (await search(this.input.value)) this.input.blur();
    });
    this.input.addEventListener("keydown", ({ key }) => key === "Escape" && this.input.blur());
  }

  /** Let the user type another text. */
  focus() {
    this.input.focus();
    this.input.select();
  }
}
