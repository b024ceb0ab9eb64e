/**
 * The files of the page, as the listener serves them: its own and those of its one library. They are part of the program
 * as text: nothing is built, nothing is fetched, and nothing of the disk can be asked for.
 *
 * @module
 */

import uplotScript from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import uplotStyle from "uplot/dist/uPlot.min.css" with { type: "text" };
import icon from "./page/icon.svg" with { type: "text" };
import index from "./page/index.html" with { type: "text" };
import style from "./page/style.css" with { type: "text" };
import views from "./page/views.css" with { type: "text" };
import api from "./page/api.js" with { type: "text" };
import app from "./page/app.js" with { type: "text" };
import chart from "./page/chart.js" with { type: "text" };
import chartSpans from "./page/chart_spans.js" with { type: "text" };
import colors from "./page/colors.js" with { type: "text" };
import dom from "./page/dom.js" with { type: "text" };
import format from "./page/format.js" with { type: "text" };
import lockTree from "./page/lock_tree.js" with { type: "text" };
import parts from "./page/parts.js" with { type: "text" };
import router from "./page/router.js" with { type: "text" };
import storyChart from "./page/story_chart.js" with { type: "text" };
import storyWords from "./page/story_words.js" with { type: "text" };
import viewAgents from "./page/view_agents.js" with { type: "text" };
import viewLog from "./page/view_log.js" with { type: "text" };
import viewNow from "./page/view_now.js" with { type: "text" };
import viewRequest from "./page/view_request.js" with { type: "text" };
import viewRequests from "./page/view_requests.js" with { type: "text" };
import viewStatements from "./page/view_statements.js" with { type: "text" };
import viewTime from "./page/view_time.js" with { type: "text" };

/** One file under its path. */
export interface PageFile {
  path: string;
  type: string;
  body: string;
}

const script = "text/javascript; charset=utf-8";
const css = "text/css; charset=utf-8";
const modules = {
  api,
  app,
  chart,
  chartSpans,
  colors,
  dom,
  format,
  lockTree,
  parts,
  router,
  storyChart,
  storyWords,
  viewAgents,
  viewLog,
  viewNow,
  viewRequest,
  viewRequests,
  viewStatements,
  viewTime,
};

export const pageFiles: readonly PageFile[] = [
  { path: "/", type: "text/html; charset=utf-8", body: index },
  { path: "/page/icon.svg", type: "image/svg+xml", body: icon },
  { path: "/page/style.css", type: css, body: style },
  { path: "/page/views.css", type: css, body: views },
  { path: "/page/vendor/uplot.js", type: script, body: uplotScript },
  { path: "/page/vendor/uplot.css", type: css, body: uplotStyle },
  ...Object.entries(modules).map(([name, body]) => ({ path: `/page/${fileName(name)}.js`, type: script, body })),
];

/** As files are named here: `viewNow` stands in `view_now.js`. */
function fileName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
