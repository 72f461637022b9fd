// Draws all students, lets the map be moved by pointer and keyboard, and shows probes as they land.
"use strict";

const KEPT = 20; // probes that are shown
const NEAR = 14; // pixels within which a click means a dot
const FEW = 2000; // students, whose dots may be larger
const SMALLEST = 0.5, LARGEST = 200; // scales

const canvas = document.getElementById("map");
let picture = null, pixelsOf = null;
let students = null, probes = [], chosen = -1, view = { x: 0, y: 0, scale: 1 }, waiting = false;

const ink = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Bytes of a colour as they lie in a picture, in this machine's order.
function bytesOf(paper, colour) {
  paper.fillStyle = colour;
  const [red, green, blue] = paper.fillStyle.slice(1).match(/../g).map(each => parseInt(each, 16));
  return new Uint32Array(new Uint8Array([red, green, blue, 255]).buffer)[0];
}

// Dots are written into a picture: a browser without a graphics card takes ten times as long to
// draw 20,000 squares.
function drawDots(paper, size) {
  const { width, height } = canvas;
  if (!picture || picture.width !== width || picture.height !== height) {
    picture = paper.createImageData(width, height);
    pixelsOf = new Uint32Array(picture.data.buffer);
  }
  pixelsOf.fill(0);
  const ratio = width / canvas.clientWidth, scale = pixels() * ratio, side = Math.max(1, Math.round(size * ratio));
  const left = width / 2 - view.x * scale - side / 2, top = height / 2 + view.y * scale - side / 2;
  const { x, y, colours } = students;
  for (let at = 0; at < x.length; at++) {
    const right = Math.round(left + x[at] * scale), down = Math.round(top - y[at] * scale);
    if (right < 0 || down < 0 || right + side > width || down + side > height) continue;
    for (let row = down * width; row < (down + side) * width; row += width) {
      pixelsOf.fill(colours[at], row + right, row + right + side);
    }
  }
  paper.putImageData(picture, 0, 0);
}

function draw() {
  waiting = false;
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const paper = canvas.getContext("2d", { willReadFrequently: true });
  if (!students || !canvas.width || !canvas.height) return;
  const size = Math.min(8, (students.x.length < FEW ? 4 : 2) * Math.sqrt(Math.max(1, view.scale)));
  drawDots(paper, size);
  paper.setTransform(ratio, 0, 0, ratio, 0, 0);
  for (const probe of probes) drawProbe(paper, probe);
  if (chosen >= 0) {
    const [x, y] = seen(students.x[chosen], students.y[chosen]);
    paper.strokeStyle = ink("--ink");
    paper.lineWidth = 2;
    paper.beginPath();
    paper.arc(x, y, size + 5, 0, 2 * Math.PI);
    paper.stroke();
    paper.fillStyle = ink("--ink");
    paper.font = "600 14px system-ui, sans-serif";
    paper.fillText(students.names[chosen], x + size + 9, y + 5);
  }
}

function drawProbe(paper, probe) {
  const [x, y] = seen(probe.x, probe.y), opened = probe.verdict === "open";
  paper.lineWidth = 3;
  paper.strokeStyle = ink(opened ? "--good" : "--bad");
  paper.beginPath();
  if (opened) {
    paper.moveTo(x, y - 9); paper.lineTo(x + 9, y); paper.lineTo(x, y + 9); paper.lineTo(x - 9, y);
    paper.closePath();
  } else {
    paper.moveTo(x - 7, y - 7); paper.lineTo(x + 7, y + 7); paper.moveTo(x + 7, y - 7); paper.lineTo(x - 7, y + 7);
  }
  paper.stroke();
}

function pixels() {
  return 0.46 * Math.min(canvas.clientWidth, canvas.clientHeight) * view.scale;
}

function seen(x, y) {
  const scale = pixels();
  return [canvas.clientWidth / 2 + (x - view.x) * scale, canvas.clientHeight / 2 - (y - view.y) * scale];
}

function redraw() {
  if (!waiting) {
    waiting = true;
    requestAnimationFrame(draw);
  }
}

function move(right, down) {
  view.x -= right / pixels();
  view.y += down / pixels();
  redraw();
}

// What lies under the pointer stays there.
function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const before = pixels(), right = x - canvas.clientWidth / 2, down = y - canvas.clientHeight / 2;
  view.scale = Math.min(LARGEST, Math.max(SMALLEST, view.scale * factor));
  view.x += right / before - right / pixels();
  view.y -= down / before - down / pixels();
  redraw();
}

async function choose(at) {
  chosen = at;
  redraw();
  const box = document.getElementById("chosen");
  const answer = await fetch(`/map/student/${students.numbers[at]}`, { headers: { "HX-Request": "true" } });
  box.innerHTML = await answer.text();
}

function chooseNumber(number) {
  const at = students.numbers.indexOf(number);
  if (at < 0) return;
  view.x = students.x[at];
  view.y = students.y[at];
  view.scale = Math.max(view.scale, 4);
  choose(at);
}

function nearestTo(x, y) {
  let best = -1, least = NEAR * NEAR;
  for (let at = 0; at < students.numbers.length; at++) {
    const [right, down] = seen(students.x[at], students.y[at]);
    const apart = (right - x) ** 2 + (down - y) ** 2;
    if (apart < least) [best, least] = [at, apart];
  }
  return best;
}

function listen() {
  const pointers = new Map();
  let moved = 0;
  const spread = () => {
    const [one, other] = [...pointers.values()];
    return Math.hypot(one.x - other.x, one.y - other.y);
  };
  canvas.addEventListener("pointerdown", event => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    moved = 0;
  });
  canvas.addEventListener("pointermove", event => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const apart = pointers.size === 2 ? spread() : 0;
    const now = { x: event.offsetX, y: event.offsetY };
    pointers.set(event.pointerId, now);
    moved += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
    if (apart) zoom(spread() / apart, now.x, now.y);
    else move(now.x - before.x, now.y - before.y);
  });
  const ended = event => {
    if (!pointers.delete(event.pointerId) || event.type !== "pointerup" || moved > 6) return;
    const at = nearestTo(event.offsetX, event.offsetY);
    if (at >= 0) choose(at);
  };
  canvas.addEventListener("pointerup", ended);
  canvas.addEventListener("pointercancel", ended);
  canvas.addEventListener("wheel", event => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
  }, { passive: false });
  const keys = {
    ArrowLeft: () => move(60, 0), ArrowRight: () => move(-60, 0),
    ArrowUp: () => move(0, 60), ArrowDown: () => move(0, -60),
    "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5),
    "0": () => { view = { x: 0, y: 0, scale: 1 }; redraw(); },
  };
  canvas.addEventListener("keydown", event => {
    const does = event.ctrlKey || event.metaKey || event.altKey ? null : keys[event.key];
    if (does) {
      event.preventDefault();
      does();
    }
  });
  document.getElementById("find").addEventListener("submit", event => {
    event.preventDefault();
    const at = students.names.indexOf(document.getElementById("name").value.trim());
    if (at >= 0) chooseNumber(students.numbers[at]);
  });
  document.getElementById("name").addEventListener("input", suggest);
  document.getElementById("chosen").addEventListener("click", event => {
    if (event.target.dataset.number) chooseNumber(Number(event.target.dataset.number));
  });
  new ResizeObserver(redraw).observe(canvas);
}

function suggest(event) {
  const begun = event.target.value.toLowerCase(), list = document.getElementById("names");
  const found = begun ? students.names.filter(name => name.toLowerCase().startsWith(begun)).slice(0, 20) : [];
  list.replaceChildren(...found.map(name => Object.assign(document.createElement("option"), { value: name })));
}

function land(probe) {
  probes = [...probes, probe].slice(-KEPT);
  redraw();
  const table = document.getElementById("probes"), row = document.createElement("tr");
  const cells = [
    new Date(probe.at).toLocaleTimeString(document.documentElement.lang),
    probe.verdict === "open" ? table.dataset.opened : table.dataset.shut,
    probe.score.toFixed(3),
    probe.nearest.map(([, name, score]) => `${name} ${score.toFixed(3)}`).join(", "),
  ];
  row.append(...cells.map(text => Object.assign(document.createElement("td"), { textContent: text })));
  const body = table.tBodies[0];
  body.prepend(row);
  while (body.rows.length > KEPT) body.lastElementChild.remove();
}

const nextFrame = () => new Promise(requestAnimationFrame);

// Reading, sorting and drawing 20,000 students have a frame each: on a slow board the page answers between them.
async function begin() {
  listen();
  const found = await (await fetch("/map/places")).json();
  await nextFrame();
  prepare(found);
  students = found;
  await nextFrame();
  draw();
  document.body.dataset.drawn = "true";
  new EventSource("/map/feed").addEventListener("probe", event => land(JSON.parse(event.data)));
}

// Give each student a colour by group, and coordinates in arrays of numbers.
function prepare(found) {
  const light = matchMedia("(prefers-color-scheme: dark)").matches ? 70 : 38;
  const paper = canvas.getContext("2d", { willReadFrequently: true });
  const known = new Map([["", bytesOf(paper, ink("--soft"))]]);
  // The golden angle keeps however many hues apart.
  [...new Set(found.groups)].filter(Boolean).sort().forEach((group, place) => {
    known.set(group, bytesOf(paper, `hsl(${(place * 137.5) % 360} 65% ${light}%)`));
  });
  found.colours = Uint32Array.from(found.groups, group => known.get(group));
  found.x = Float64Array.from(found.x);
  found.y = Float64Array.from(found.y);
}

if (canvas) begin();
