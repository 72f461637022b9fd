"use strict";
// An enrollment as it goes; all HTML is made, and escaped, by the console.
(() => {
  const at = (id) => document.getElementById(id);
  const advice = at("advice"), meter = at("heard"), progress = at("progress");
  const stream = new EventSource(at("enrolling").dataset.feed);
  let begun = 0;

  const piece = (html) => {
    const made = document.createElement("template");
    made.innerHTML = html.trim();
    return made.content;
  };
  stream.addEventListener("open", () => {
    // A stream that begins again tells of all takes once more.
    if (begun++) at("takes").replaceChildren();
  });
  stream.addEventListener("listening", (event) => { advice.textContent = event.data; });
  stream.addEventListener("level", (event) => {
    const told = JSON.parse(event.data);
    meter.value = told.level;
    at("heard-figure").textContent = `${Math.round(told.level)} dB`;
  });
  stream.addEventListener("take", (event) => { at("takes").append(piece(event.data)); });
  stream.addEventListener("advice", (event) => { advice.textContent = event.data; });
  stream.addEventListener("progress", (event) => {
    progress.value = Number(event.data);
    at("progress-figure").textContent = `${event.data} %`;
  });
  stream.addEventListener("end", (event) => {
    stream.close();
    at("end").replaceChildren(piece(event.data));
    at("enrolling").hidden = true;
  });
})();
