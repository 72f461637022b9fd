// Draws the curve and the weeks of the calibration page; their figures stand in its tables.
"use strict";

const ink = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const percent = value => (value == null ? "" : `${+(value * 100).toPrecision(3)} %`);

function axis(label, values) {
  return {
    label, values, stroke: ink("--ink"), grid: { stroke: ink("--line") }, ticks: { stroke: ink("--line") },
  };
}

function wide(box) {
  return Math.max(280, Math.min(box.clientWidth, 900));
}

// A plot is as wide as its box, whatever that becomes.
function draw(box, height, options, values) {
  const plot = new uPlot({ width: wide(box), height, ...options }, values, box);
  new ResizeObserver(() => plot.setSize({ width: wide(box), height })).observe(box);
}

// Where an error was not seen at all, a curve of logarithms has no place for it.
function drawCurve(box, figures) {
  const now = { fpir: figures.now.fpir.share, fnir: figures.now.fnir.share };
  const points = [...figures.curve, now]
    .filter(each => each.fpir > 0 && each.fnir > 0)
    .sort((one, other) => one.fpir - other.fpir || other.fnir - one.fnir);
  if (points.length < 2) return;
  const x = points.map(each => each.fpir), y = points.map(each => each.fnir);
  const shown = points.map(each => (each === now ? each.fnir : null));
  draw(box, 320, {
    scales: { x: { time: false, distr: 3 }, y: { distr: 3 } },
    axes: [axis(box.dataset.x, (_, all) => all.map(percent)), axis(box.dataset.y, (_, all) => all.map(percent))],
    series: [
      { label: box.dataset.x, value: (_, value) => percent(value) },
      { label: box.dataset.y, stroke: ink("--accent"), width: 2, value: (_, value) => percent(value) },
      { label: box.dataset.now, stroke: ink("--bad"), width: 0, points: { show: true, size: 12, fill: ink("--bad") }, value: (_, value) => percent(value) },
    ],
  }, [x, y, shown]);
}

function drawWeeks(box, figures) {
  const rows = figures.weeks, x = rows.map((_, at) => at);
  const middle = name => rows.map(row => (row[name] ? row[name][1] : null));
  const scores = (_, value) => (value == null ? "" : value.toFixed(3));
  const line = (label, stroke, dash) => ({
    label, stroke, width: 2, dash, value: scores, points: { show: rows.length < 60 },
  });
  draw(box, 260, {
    scales: { x: { time: false, range: [-0.5, rows.length - 0.5] } },
    axes: [
      { ...axis("", (_, all) => all.map(at => (rows[at] ? rows[at].name : ""))), incrs: [1, 2, 5, 10, 20] },
      axis(""),
    ],
    series: [
      { label: box.dataset.week, value: (_, at) => (rows[at] ? rows[at].name : "") },
      line(box.dataset.opened, ink("--good")),
      line(box.dataset.strangers, ink("--warn")),
      line(box.dataset.threshold, ink("--bad"), [6, 4]),
    ],
  }, [x, middle("accepted"), middle("strangers"), x.map(() => figures.calibration.threshold)]);
}

addEventListener("DOMContentLoaded", async () => {
  const curve = document.getElementById("det"), weeks = document.getElementById("weeks");
  if (!curve) return;
  const answer = await fetch("/calibration/figures");
  if (!answer.ok) return;
  const figures = await answer.json();
  drawCurve(curve, figures);
  if (weeks) drawWeeks(weeks, figures);
  document.body.dataset.drawn = "true";
});
