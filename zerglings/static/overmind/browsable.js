// On the pages of the browsable API: colours the JSON, and completes Django REST framework's forms
// for what HTML forms cannot send.
prettyPrint();

// By default they accept anything as much as a page, and so get JSON, which they cannot show.
$.ajaxPrefilter((options) => {
  options.headers.Accept = "text/html";
});

// They write the answer into the document, where the browser obeys an autofocus only once.
document.querySelector("[autofocus]")?.focus();
