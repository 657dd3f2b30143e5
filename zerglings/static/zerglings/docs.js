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
const PARAMETER = "[data-param-name], [data-property-name]";

function nameAll() {
  for (const [selector, name] of Object.entries(NAMES)) {
    for (const element of unnamed(selector)) element.setAttribute("aria-label", name);
  }
  for (const field of unnamed(`:is(${PARAMETER}) :is(input:not([type=checkbox]), select)`)) {
    const { paramName, propertyName } = field.closest(PARAMETER).dataset;
    field.setAttribute("aria-label", paramName ?? propertyName);
  }
}

function unnamed(selector) {
  return root.querySelectorAll(`${selector}:not([aria-label])`);
}

/** A plugin of Swagger UI that replaces two of its components. */
const accessible = ({ React: { createElement, Fragment } }) => ({
  wrapComponents: {
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

new MutationObserver(nameAll).observe(root, { childList: true, subtree: true });
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
