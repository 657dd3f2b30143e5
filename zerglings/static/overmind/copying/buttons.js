/** The buttons that copy a request as curl, and the one that copies a link. */

import { linkTo } from "../address.js";
import { commandRequest, historyRequest, spawnRequest } from "../api.js";
import { curlLine } from "./curl.js";

/** `buttons` have the name of a request in `data-curl`; `link` is a button too. */
export function bindCopyButtons({ buttons, link }, { copier, selection, explorer, orders, view }) {
  const requests = {
    spawn: () => spawnRequest(orders.spawnFields(view.centre)),
    l: () => commandRequest(selection.id, "L"),
    m: () => commandRequest(selection.id, "M"),
    r: () => commandRequest(selection.id, "R"),
    history: () => historyRequest(selection.id),
  };
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const request = requests[button.dataset.curl]();
      copier.copy(curlLine(request, "needsToken" in document.body.dataset), "Copied as curl.");
    });
  }
  link.addEventListener("click", () => {
    const step = explorer.isNow ? null : explorer.step;
    copier.copy(linkTo(selection.id, step), "Copied the link.");
  });
}
