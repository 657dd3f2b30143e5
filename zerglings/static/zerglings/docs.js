// Shows the API's description with Swagger UI, and completes its markup for assistive technology.
// A file of its own, so that no inline script is needed.
"use strict";

const root = document.getElementById("swagger-ui");

/** Names of what Swagger UI does not name, by selector. A section with a name is a landmark. */
const NAMES = {
  ".information-container > section": "Description",
  ".scheme-container > section": "Server and authorization",
  "#servers": "Server",
  ".examples-select-element": "Example",
  ".body-param__text": "Request body",
  ".close-modal": "Close",
};
/** Attributes to remove, by selector. */
const WRONG = {
  ".responses-table": "role", // as regions the tables would need different names
  "#auth-bearer-value": "aria-label", // it has a label
};
const PARAMETER = "[data-param-name], [data-property-name]";

function complete() {
  for (const [selector, name] of Object.entries(NAMES)) {
    for (const element of unnamed(selector)) element.setAttribute("aria-label", name);
  }
  for (const field of unnamed(`:is(${PARAMETER}) :is(input:not([type=checkbox]), select)`)) {
    const { paramName, propertyName } = field.closest(PARAMETER).dataset;
    field.setAttribute("aria-label", paramName ?? propertyName);
  }
  for (const [selector, attribute] of Object.entries(WRONG)) {
    for (const element of root.querySelectorAll(selector)) element.removeAttribute(attribute);
  }
  for (const heading of root.querySelectorAll("dialog h6")) {
    heading.setAttribute("aria-level", "5"); // it is below one of the fourth level
  }
}

function unnamed(selector) {
  return root.querySelectorAll(`${selector}:not([aria-label])`);
}

/** A plugin of Swagger UI that replaces some of its components. */
const accessible = ({ React: { createElement, Fragment, useLayoutEffect, useRef } }) => ({
  wrapComponents: {
    // Its names, for example "Apply credentials", differ from the texts that it shows.
    Button: (Button) => ({ "aria-label": name, ...props }) => createElement(Button, props),
    // A modal dialog of the browser keeps the focus, and returns it when it closes.
    authorizationPopup: (Popup) => (props) => {
      const dialog = useRef(null);
      useLayoutEffect(() => {
        const { current } = dialog;
        current.showModal();
        return () => current.close();
      }, []);
      return createElement(
        "dialog",
        { ref: dialog, "aria-label": "Available authorizations" },
        createElement(Popup, props),
      );
    },
    // It is a link within the button that opens an operation. The button changes the URL too.
    DeepLink: () => ({ text }) => createElement("span", null, text),
    // The headings below are of the third level, the one above is of the first.
    operations: (Operations) => (props) =>
      createElement(
        Fragment,
        null,
        createElement("h2", { className: "operations-title" }, "Operations"),
        createElement(Operations, props),
      ),
  },
});

const dark = matchMedia("(prefers-color-scheme: dark)");

function followScheme() {
  document.documentElement.classList.toggle("dark-mode", dark.matches); // a class of Swagger UI
}

dark.addEventListener("change", followScheme);
followScheme();
new MutationObserver(complete).observe(root, { childList: true, subtree: true });
SwaggerUIBundle({
  url: root.dataset.schema,
  domNode: root,
  deepLinking: true,
  displayRequestDuration: true,
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [accessible],
  layout: "BaseLayout",
  syntaxHighlight: { theme: "tomorrow-night" }, // the default has too little contrast
  validatorUrl: null, // nothing leaves this service
});
