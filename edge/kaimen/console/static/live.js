"use strict";
// What the gate tells, put into the page as it comes; all HTML is made, and escaped, by the console.
(() => {
  const KEPT = 20;
  const at = (id) => document.getElementById(id);
  const list = at("decisions");
  const meter = at("level"), figure = at("level-figure"), speaking = at("speaking");
  const stream = new EventSource(list.dataset.feed);

  const piece = (html) => {
    const made = document.createElement("template");
    made.innerHTML = html.trim();
    return made.content;
  };
  const fill = (id) => (event) => at(id).replaceChildren(piece(event.data));

  stream.addEventListener("level", (event) => {
    const told = JSON.parse(event.data);
    meter.value = told.level;
    figure.textContent = `${Math.round(told.level)} dB`;
    const said = told.speaking ? speaking.dataset.speaking : speaking.dataset.quiet;
    if (speaking.textContent !== said) speaking.textContent = said;
  });
  stream.addEventListener("gate", fill("gate"));
  stream.addEventListener("door", fill("door"));
  stream.addEventListener("decision", (event) => {
    const made = piece(event.data), item = made.firstElementChild;
    // A stream that begins again tells of the last decisions once more.
    if (list.querySelector(`[data-at="${CSS.escape(item.dataset.at)}"]`)) return;
    list.prepend(made);
    at("no-decision").hidden = true;
    while (list.children.length > KEPT) list.lastElementChild.remove();
  });
  stream.addEventListener("open", () => { at("lost").hidden = true; });
  stream.addEventListener("error", () => {
    at("lost").hidden = false;
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 2000);
  });
})();
