/**
 * The files of the page, as the listener serves them: its own and those of its one library. They are part of the program
 * as text: nothing is built, nothing is fetched, and nothing of the disk can be asked for.
 *
 * @module
 */

import uplotScript from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import uplotStyle from "uplot/dist/uPlot.min.css" with { type: "text" };
import index from "./page/index.html" with { type: "text" };
import style from "./page/style.css" with { type: "text" };

/** One file under its path. */
export interface PageFile {
  path: string;
  type: string;
  body: string;
}

const script = "text/javascript; charset=utf-8";
const css = "text/css; charset=utf-8";

export const pageFiles: readonly PageFile[] = [
  { path: "/", type: "text/html; charset=utf-8", body: index },
  { path: "/page/style.css", type: css, body: style },
  { path: "/page/vendor/uplot.js", type: script, body: uplotScript },
  { path: "/page/vendor/uplot.css", type: css, body: uplotStyle },
];
