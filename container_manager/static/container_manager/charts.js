// The two big charts. Data comes as JSON in the page, anew with each refresh; the canvas stays.

const DATA = "cm-chart-data";
const HEIGHT = 200;
const MARKS = [0.01, 0.1, 1, 10, 60, 600, 3600, 36000, 86400]; // seconds
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

const drawn = new Map();
const unitOf = (value) => UNITS.find(([size]) => value >= size);

function duration(seconds) {
  if (seconds == null) return "-";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  const [size, unit] = unitOf(seconds);
  return `${Number((seconds / size).toPrecision(2))} ${unit}`;
}

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function formatter(zone, options) {
  try {
    return new Intl.DateTimeFormat(undefined, { timeZone: zone, ...options });
  } catch {
    // a zone that the browser does not know
    return new Intl.DateTimeFormat(undefined, { timeZone: "UTC", ...options });
  }
}

// A point with nothing on either side would be invisible as a line.
function lonePoints(plot, index) {
  const values = plot.data[index];
  return values.flatMap((value, at) => (value != null && values[at - 1] == null && values[at + 1] == null ? [at] : []));
}

function axes(data, yValues, yOptions = {}) {
  const quiet = color("--cm-quiet");
  const grid = { stroke: color("--cm-line"), width: 1 };
  const isLong = data.at.at(-1) - data.at[0] > 2 * 86400;
  const time = formatter(data.zone, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const day = formatter(data.zone, { day: "numeric", month: "short" });
  const style = { stroke: quiet, grid, ticks: { ...grid, size: 4 }, font: "11px system-ui, sans-serif" };
  return [
    { ...style, values: (_, splits) => splits.map((at) => (isLong ? day : time).format(at * 1000)), space: 70, size: 28 },
    { ...style, values: (_, splits) => splits.map(yValues), size: 52, ...yOptions },
  ];
}

function timeSeries(data, label) {
  const moment = formatter(data.zone, {
    day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "short",
  });
  return { label, value: (_, at) => (at == null ? "-" : moment.format(at * 1000)) };
}

const sum = (one, other) => one.map((value, at) => value + other[at]);

// Stacked: the bars of the failed ones begin where the completed ones end.
function throughput(element, data) {
  const { bars } = window.uPlot.paths;
  const width = bars({ size: [0.8, 24], align: 1 });
  const count = (values) => (_, __, ___, at) => (at == null ? "-" : values[at].toLocaleString());
  const series = (label, name, values) => ({
    label, value: count(values), stroke: color(name), fill: color(name), width: 0, paths: width, points: { show: false },
  });
  return {
    data: [data.at, sum(data.completed, data.failed), data.completed],
    options: {
      series: [
        timeSeries(data, element.dataset.time),
        series(element.dataset.failed, "--cm-chart-failed", data.failed),
        series(element.dataset.completed, "--cm-chart-completed", data.completed),
      ],
      scales: { x: range(data), y: { range: (_, __, most) => [0, Math.max(4, most * 1.1)] } },
      axes: axes(data, (value) => (Number.isInteger(value) ? value.toLocaleString() : "")),
    },
  };
}

function times(element, data) {
  const line = (label, name, dash) => ({
    label, stroke: color(name), width: 1.75, dash, value: (_, value) => duration(value),
    points: { show: false, filter: lonePoints, size: 5, fill: color(name) },
  });
  const { wait, run } = element.dataset;
  return {
    data: [data.at, data.wait_p50, data.wait_p95, data.run_p50, data.run_p95],
    options: {
      series: [
        timeSeries(data, element.dataset.time),
        line(`${wait} p50`, "--cm-chart-wait"),
        line(`${wait} p95`, "--cm-chart-wait", [5, 4]),
        line(`${run} p50`, "--cm-chart-run"),
        line(`${run} p95`, "--cm-chart-run", [5, 4]),
      ],
      scales: { x: range(data), y: { distr: 3, log: 10, range: logRange } },
      axes: axes(data, duration, { splits: (_, __, least, most) => MARKS.filter((mark) => mark >= least && mark <= most), space: 1 }),
    },
  };
}

// All of the window, also where nothing happened.
const range = (data) => ({ range: () => [data.at[0], data.at.at(-1) + data.bucket] });

// To the next marks, on a logarithm.
function logRange(_, least, most) {
  if (least == null) return [0.1, 60];
  return [MARKS.findLast((mark) => mark <= least) ?? MARKS[0], MARKS.find((mark) => mark > most) ?? MARKS.at(-1)];
}

const kinds = { throughput, times };

function draw(element, data) {
  const { data: values, options } = kinds[element.dataset.chart](element, data);
  drawn.get(element)?.destroy();
  const plot = new window.uPlot(
    { width: element.clientWidth, height: HEIGHT, legend: { live: true, markers: { dash: (_, index) => (options.series[index].dash ? "dashed" : "solid") } }, cursor: { drag: { x: false, y: false }, points: { size: 6 } }, ...options },
    values,
    element,
  );
  plot.root.setAttribute("aria-hidden", "true"); // the table says the same
  drawn.set(element, plot);
}

function drawAll() {
  const source = document.getElementById(DATA);
  if (!source || !window.uPlot) return;
  const data = JSON.parse(source.textContent);
  for (const element of document.querySelectorAll("[data-chart]")) draw(element, data);
}

drawAll();
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.querySelector?.(`#${DATA}`)) drawAll();
});

const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const plot = drawn.get(target);
    if (plot && plot.width !== target.clientWidth) plot.setSize({ width: target.clientWidth, height: HEIGHT });
  }
});
for (const element of document.querySelectorAll("[data-chart]")) resized.observe(element);

// Colours are read when a chart is drawn.
new MutationObserver(drawAll).observe(document.documentElement, { attributeFilter: ["data-theme"] });
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
