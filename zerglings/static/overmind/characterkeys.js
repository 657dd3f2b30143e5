/**
 * The user's choice whether the keys of characters are shortcuts. Speech input types characters, so
 * WCAG 2.2 (2.1.4) requires that they can be turned off. The browser remembers the choice.
 */

const NAME = "overmind:character-keys";
const OFF = "off";

export class CharacterKeys {
  areOn = recall() !== OFF;
  #announced; // elements, each with the keys that screen readers announce for it

  constructor(checkbox) {
    const elements = document.querySelectorAll("[aria-keyshortcuts]");
    this.#announced = Array.from(elements, (element) => [element, element.ariaKeyShortcuts]);
    checkbox.checked = this.areOn;
    checkbox.addEventListener("change", () => {
      this.areOn = checkbox.checked;
      remember(this.areOn ? "on" : OFF);
      this.#show();
    });
    this.#show();
  }

  #show() {
    document.body.dataset.characterKeys = this.areOn;
    for (const [element, keys] of this.#announced) {
      element.ariaKeyShortcuts = this.areOn ? keys : null;
    }
  }
}

function recall() {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null; // the browser refuses storage
  }
}

function remember(choice) {
  try {
    localStorage.setItem(NAME, choice);
  } catch {
    // The browser refuses storage: the choice lasts until the page is closed.
  }
}
