/// <reference lib="dom" />
/**
 * Spans of time in a chart: holes, hatched, and what was recorded, under a bar.
 *
 * @module
 */

/** @typedef {import("uplot")} Plot */

/** Of the moment: colours are read when a chart is made, and charts are made anew when the scheme changes. */
export function colors() {
  const style = getComputedStyle(document.documentElement);
  const color = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  return { ink: color("--muted"), grid: color("--line"), hatch: color("--hatch"), surface: color("--surface") };
}

/**
 * @param {Plot} plot
 * @param {{ fromMs: number, toMs: number }[]} holes
 */
export function drawHoles(plot, holes) {
  const { ctx, bbox } = plot;
  const { hatch } = colors();
  ctx.save();
  for (const { fromMs, toMs } of holes) {
    const left = Math.max(bbox.left, plot.valToPos(fromMs / 1_000, "x", true));
    const right = Math.min(bbox.left + bbox.width, plot.valToPos(toMs / 1_000, "x", true));
    if (right <= left) continue;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, bbox.top, right - left, bbox.height);
    ctx.clip();
    ctx.strokeStyle = hatch;
    ctx.lineWidth = 2;
    for (let x = left - bbox.height; x < right; x += 9) {
      ctx.beginPath();
      ctx.moveTo(x, bbox.top + bbox.height);
      ctx.lineTo(x + bbox.height, bbox.top);
      ctx.stroke();
    }
    ctx.restore();
  }
  ctx.restore();
}

/**
 * A bar at the upper edge, never narrower than can be seen, and its label where it has room.
 *
 * @param {Plot} plot
 * @param {{ fromMs: number, toMs: number, label: string }[]} marks
 */
export function drawMarks(plot, marks) {
  const { ctx, bbox } = plot;
  const { ink } = colors();
  const scale = devicePixelRatio;
  ctx.save();
  ctx.fillStyle = ink;
  ctx.font = `${11 * scale}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.textBaseline = "top";
  let freeFrom = bbox.left;
  for (const { fromMs, toMs, label } of marks) {
    const left = Math.max(bbox.left, plot.valToPos(fromMs / 1_000, "x", true));
    const right = Math.min(bbox.left + bbox.width, plot.valToPos(toMs / 1_000, "x", true));
    ctx.fillRect(left, bbox.top, Math.max(3 * scale, right - left), 3 * scale);
    const width = ctx.measureText(label).width;
    const start = Math.min(left, bbox.left + bbox.width - width);
    if (start < freeFrom) continue;
    ctx.fillText(label, start, bbox.top + 6 * scale);
    freeFrom = start + width + 12 * scale;
  }
  ctx.restore();
}
