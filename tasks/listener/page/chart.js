/// <reference lib="dom" />
/**
 * Charts in time, drawn by uPlot: lines and stacked areas, holes as hatched bands, zoom by dragging or by keys. All charts
 * of a view share cursor and span.
 *
 * @module
 */

/** @typedef {import("uplot")} Plot */
/** @typedef {import("uplot").Options} PlotOptions */

import { colors, drawHoles, drawMarks } from "./chart_spans.js";
import { append, h } from "./dom.js";
import { clock } from "./format.js";

/** @type {typeof import("uplot")} */
const UPlot = /** @type {any} */ (globalThis).uPlot;

/**
 * @typedef {object} Line
 * @property {string} label
 * @property {string} color
 * @property {(number | null)[]} values
 */

/**
 * @typedef {object} ChartOptions
 * @property {string} title
 * @property {string} [hint] what it means, for those who see it first
 * @property {number[]} at milliseconds
 * @property {Line[]} lines
 * @property {boolean} [stacked]
 * @property {boolean} [bars] then the legend tells the sum, unless a bar is under the cursor
 * @property {(value: number | null) => string} format
 * @property {number} fromMs
 * @property {number} toMs
 * @property {number} [max] the least upper end of the scale
 * @property {{ fromMs: number, toMs: number }[]} [holes]
 * @property {{ fromMs: number, toMs: number, label: string }[]} [marks] spans with a bar above them
 * @property {number} [height]
 * @property {(fromMs: number, toMs: number) => void} [onZoom]
 * @property {(atMs: number) => void} [onChoose] at a click, or Enter
 */

/**
 * A figure with a title, a legend that tells the values under the cursor, and the chart.
 *
 * @param {ChartOptions} options
 * @param {AbortSignal} signal lets the chart go
 * @returns {HTMLElement}
 */
export function chart(options, signal) {
  const values = options.lines.map(() => h("b", null, ""));
  const time = h("span.chart-time", null, "");
  const legend = h("div.legend", { "aria-hidden": "true" });
  append(legend, [
    ...options.lines.map(({ label, color }, index) =>
      h("span.legend-item", null, h("i.swatch", { style: { background: color } }), label, " ", values[index])
    ),
    time,
  ]);
  const holder = h("div.plot", {
    role: "img",
    tabindex: "0",
    "aria-label": describe(options),
    "data-key": `chart-${options.title}`,
  });
  const figure = h(
    "figure.chart",
    null,
    h("figcaption", null, h("strong", null, options.title), options.hint ? h("span.hint", null, options.hint) : null),
    holder,
    legend,
  );
  const show = (/** @type {number | null | undefined} */ index) => {
    options.lines.forEach(({ values: own }, line) => {
      const sum = own.reduce((/** @type {number} */ total, value) => total + (value ?? 0), 0);
      const value = options.bars && typeof index !== "number" ? sum : own[index ?? own.length - 1];
      const cell = values[line];
      if (cell !== undefined) cell.textContent = value === undefined ? "" : options.format(value);
    });
    const at = index === null || index === undefined ? undefined : options.at[index];
    time.textContent = at === undefined ? "" : clock(at);
  };
  show(null);
  // The width is known once it stands in the page.
  queueMicrotask(() => requestAnimationFrame(() => draw(holder, options, { show, signal })));
  return figure;
}

/**
 * @param {HTMLElement} holder
 * @param {ChartOptions} options
 * @param {{ show: (index: number | null | undefined) => void, signal: AbortSignal }} parts
 */
function draw(holder, options, { show, signal }) {
  if (signal.aborted || !holder.isConnected) return;
  const plot = new UPlot(plotOptions(holder, options, show), /** @type {any} */ (dataOf(options)), holder);
  const observer = new ResizeObserver(() => {
    if (holder.clientWidth > 0) plot.setSize({ width: holder.clientWidth, height: options.height ?? 130 });
  });
  observer.observe(holder);
  holder.addEventListener("keydown", (event) => onKey(event, plot, options));
  plot.over.addEventListener("click", () => {
    const at = plot.cursor.idx === null || plot.cursor.idx === undefined ? undefined : options.at[plot.cursor.idx];
    if (at !== undefined && plot.select.width === 0) options.onChoose?.(at);
  });
  const end = () => {
    observer.disconnect();
    plot.destroy();
  };
  signal.addEventListener("abort", end, { once: true });
}

/** @param {ChartOptions} options */
function dataOf({ at, lines, stacked }) {
  const seconds = at.map((ms) => ms / 1_000);
  if (!stacked) return [seconds, ...lines.map(({ values }) => values)];
  /** @type {(number | null)[][]} */
  const sums = [];
  for (const { values } of lines) {
    const below = sums.at(-1);
    sums.push(values.map((value, index) => value === null ? null : value + (below?.[index] ?? 0)));
  }
  return [seconds, ...sums];
}

/**
 * @param {HTMLElement} holder
 * @param {ChartOptions} options
 * @param {(index: number | null | undefined) => void} show
 * @returns {PlotOptions}
 */
function plotOptions(holder, options, show) {
  const { ink, grid } = colors();
  const { lines, stacked = false, bars = false, fromMs, toMs, max = 0, format } = options;
  const axis = {
    stroke: ink,
    grid: { stroke: grid, width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
  };
  const paths = bars ? UPlot.paths.bars?.({ size: [0.9, 100], align: 1 }) : undefined;
  return {
    width: Math.max(200, holder.clientWidth),
    height: options.height ?? 130,
    legend: { show: false },
    padding: [8, 8, 0, 0],
    cursor: {
      drag: { x: options.onZoom !== undefined, y: false, setScale: false },
      sync: { key: "time" },
      points: { show: !stacked && !bars, size: 6 },
    },
    scales: {
      x: { time: true, range: [fromMs / 1_000, toMs / 1_000] },
      y: { range: (_plot, _low, high) => [0, Math.max(max, (high ?? 0) * 1.08, 1e-9)] },
    },
    axes: [
      { ...axis, values: timeLabels, space: 64, size: 24 },
      { ...axis, values: (_plot, ticks) => ticks.map((tick) => format(tick)), size: 58, space: 28 },
    ],
    series: [
      {},
      ...lines.map(({ label, color }) => ({
        label,
        stroke: color,
        width: stacked || bars ? 0 : 1.5,
        ...stacked || bars ? { fill: color } : {},
        ...paths === undefined ? {} : { paths },
        points: { show: stacked || bars ? false : isLonely },
        spanGaps: false,
      })),
    ].map((series, index) => stacked && index > 0 ? { ...series, ...order(series) } : series),
    bands: stacked
      ? lines.slice(1).map((_, index) => ({ series: /** @type {[number, number]} */ ([index + 2, index + 1]) }))
      : [],
    hooks: {
      drawClear: [(plot) => drawHoles(plot, options.holes ?? [])],
      draw: [(plot) => drawMarks(plot, options.marks ?? [])],
      setCursor: [(plot) => show(plot.cursor.idx)],
      setSelect: [(plot) => {
        if (plot.select.width < 8) return;
        const edge = (/** @type {number} */ x) => Math.round(plot.posToVal(x, "x") * 1_000);
        options.onZoom?.(edge(plot.select.left), edge(plot.select.left + plot.select.width));
      }],
    },
  };
}

/** Stacked areas without an outline of their own. @param {object} _series */
function order(_series) {
  return { width: 0 };
}

/**
 * A value between two holes has no line to stand in: it is a point.
 *
 * @param {Plot} plot
 * @param {number} index of the series
 * @returns {boolean}
 */
function isLonely(plot, index) {
  const values = /** @type {(number | null | undefined)[]} */ (plot.data[index] ?? []);
  const there = values.filter((value) => value !== null && value !== undefined).length;
  return there > 0 && there <= 40;
}

/**
 * @param {Plot} plot
 * @param {number[]} ticks seconds
 */
function timeLabels(plot, ticks) {
  const [min = 0, max = 0] = [plot.scales.x?.min ?? 0, plot.scales.x?.max ?? 0];
  const withSeconds = (max ?? 0) - (min ?? 0) < 300;
  return ticks.map((tick) => {
    const time = new Date(tick * 1_000);
    const text = [time.getHours(), time.getMinutes(), ...withSeconds ? [time.getSeconds()] : []]
      .map((part) => String(part).padStart(2, "0")).join(":");
    return time.getHours() === 0 && time.getMinutes() === 0 ? `${time.getMonth() + 1}/${time.getDate()}` : text;
  });
}

/**
 * @param {KeyboardEvent} event
 * @param {Plot} plot
 * @param {ChartOptions} options
 */
function onKey(event, plot, { at, fromMs, toMs, onZoom, onChoose }) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step !== undefined && at.length > 0) {
    const index = Math.max(0, Math.min(at.length - 1, (plot.cursor.idx ?? (step > 0 ? -1 : at.length)) + step));
    plot.setCursor({ left: plot.valToPos((at[index] ?? 0) / 1_000, "x"), top: 10 });
  } else if (event.key === "Enter") {
    const chosen = at[plot.cursor.idx ?? at.length - 1];
    if (chosen !== undefined) onChoose?.(chosen);
  } else if ((event.key === "+" || event.key === "-") && onZoom !== undefined) {
    const middle = plot.cursor.idx === null || plot.cursor.idx === undefined ? undefined : at[plot.cursor.idx];
    const center = middle ?? (fromMs + toMs) / 2;
    const half = (toMs - fromMs) / 2 * (event.key === "+" ? 0.5 : 2);
    onZoom(Math.round(center - half), Math.round(center + half));
  } else return;
  event.preventDefault();
}

/** What a chart says, in words. @param {ChartOptions} options */
function describe({ title, lines, format }) {
  const parts = lines.map(({ label, values }) => {
    const known = values.filter((value) => value !== null);
    if (known.length === 0) return `${label}: no values`;
    const last = known.at(-1) ?? 0;
    return `${label}: ${format(Math.min(...known))} to ${format(Math.max(...known))}, last ${format(last)}`;
  });
  return `${title}. ${parts.join(". ")}. Arrow keys move along the time, plus and minus zoom.`;
}
