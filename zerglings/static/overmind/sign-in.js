// Keeps the fragment of the address, such as #<id>, which browsers do not send. They keep it
// through the redirect that follows the form.
for (const form of document.querySelectorAll("form[data-keeps-fragment]")) {
  form.action += location.hash;
}
for (const link of document.querySelectorAll("a[data-keeps-fragment]")) {
  link.hash = location.hash;
}
