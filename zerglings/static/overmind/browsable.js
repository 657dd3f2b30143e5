// On the pages of the browsable API: colours the JSON, and completes Django REST framework's forms
// for what HTML forms cannot send.
prettyPrint();

$.ajaxPrefilter((options, _, request) => {
  // By default they accept anything as much as a page, and so get JSON, which they cannot show.
  options.headers.Accept = "text/html";
  // They send a GET after an answer that is no page, such as a 429, and show that one's answer.
  const { always } = request;
  request.always = (showPage) => {
    const show = (...args) => {
      const type = request.getResponseHeader("Content-Type") ?? "";
      if (type.startsWith("text/html")) showPage(...args);
      else showText(options.type, request);
    };
    return always.call(request, showPage && show); // jQuery itself calls it with undefined
  };
});

/** Show an answer that is no page in place of the last answer. The forms keep their input. */
function showText(method, request) {
  const { status, statusText, responseText } = request;
  const headers = request.getAllResponseHeaders()?.replaceAll("\r", "");
  const heading = document.getElementById("answer");
  heading.textContent = status ? `HTTP ${status} ${statusText}` : "No answer";
  document.querySelector(".request b").textContent = method;
  document.querySelector(".prettyprint").textContent = status
    ? `${headers}\n${responseText}`
    : "It is unknown whether this was carried out: GET before you repeat it.";
  heading.focus();
}

// They write the answer into the document, where the browser obeys an autofocus only once.
document.querySelector("[autofocus]")?.focus();
