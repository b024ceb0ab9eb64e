/**
 * What the visitors of the demo's site make its database do: the statements of one web request each, written as a PHP
 * application would, some with literals and some with parameters.
 *
 * @module
 */

/** One web request, on a connection of its own. */
export interface SiteRequest {
  query(text: string, values?: unknown[]): Promise<unknown>;
  pause(ms: number): Promise<void>;
  /** From 0 to below 1. */
  random(): number;
  /** How long the slowest may take. */
  slowMs: number;
}

/** A kind of request. */
export interface SiteScript {
  name: string;
  /** How many visitors do this at once, each again and again. Together below the workload's bound. */
  visitors: number;
  /** Between one visitor's requests, in milliseconds, at most. */
  thinkMs: number;
  /** Whether they come now. Default: always. */
  when?: () => boolean;
  run(request: SiteRequest): Promise<void>;
}

const pageCount = 2_000;
const orderCount = 500;
/** Orders that everybody wants: where visitors wait for each other. */
const hotOrderCount = 2;

/** The tables, as the site's role makes them. */
export const siteTables: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS site_page (
    id integer PRIMARY KEY, slug text NOT NULL UNIQUE, title text NOT NULL, body text NOT NULL, views integer NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS site_order (
    id integer PRIMARY KEY, status text NOT NULL, total_cents integer NOT NULL, changed_at timestamptz NOT NULL)`,
  `INSERT INTO site_page
    SELECT n, 'page-' || n, 'Page ' || n, repeat(md5(n::text), 20), 0 FROM generate_series(1, ${pageCount}) AS n
    ON CONFLICT DO NOTHING`,
  `INSERT INTO site_order
    SELECT n, 'open', n * 100, now() FROM generate_series(1, ${orderCount}) AS n ON CONFLICT DO NOTHING`,
];

export const siteScripts: readonly SiteScript[] = [
  { name: "page", visitors: 5, thinkMs: 600, run: showPage },
  { name: "report", visitors: 2, thinkMs: 2_000, run: showReport },
  { name: "statistics", visitors: 1, thinkMs: 5_000, run: showStatistics },
  { name: "checkout", visitors: 4, thinkMs: 1_000, run: checkOut },
  { name: "import", visitors: 1, thinkMs: 3_000, run: importOrders },
];

/** What goes on at the demo's site while its story is told. */
export interface SiteMood {
  /** Many want the same two orders. */
  storm: boolean;
  /** A release has broken something. */
  broken: boolean;
}

/** A quiet site, and what comes over it when its mood says so. */
export function storyScripts(mood: SiteMood): readonly SiteScript[] {
  return [
    { name: "page", visitors: 3, thinkMs: 900, run: showPage },
    { name: "statistics", visitors: 1, thinkMs: 6_000, run: showStatistics },
    { name: "checkout", visitors: 6, thinkMs: 300, when: () => mood.storm, run: checkOut },
    { name: "import", visitors: 1, thinkMs: 1_000, when: () => mood.storm, run: importOrders },
    { name: "broken", visitors: 3, thinkMs: 700, when: () => mood.broken, run: failSomehow },
  ];
}

/** Each in its own way: a table that is not there, a value that is there already, nonsense, a statement cut off. */
async function failSomehow(request: SiteRequest): Promise<void> {
  const page = pick(request, pageCount);
  const failures = [
    `SELECT stars FROM site_rating WHERE page_id = ${page}`,
    `INSERT INTO site_page VALUES (${page}, 'page-${page}', 'again', '', 0)`,
    `SELECT title FROM site_page WHERE id = 'page-${page}'`,
    `SELECT total_cents / 0 FROM site_order WHERE id = ${pick(request, orderCount)}`,
    `SET statement_timeout = '50ms'; SELECT pg_sleep(1) /* search for ${page} */`,
  ];
  await request.query(failures[pick(request, failures.length) - 1]!);
}

async function showPage(request: SiteRequest): Promise<void> {
  const page = pick(request, pageCount);
  await request.query(`SELECT id, title, body FROM site_page WHERE slug = 'page-${page}'`);
  await request.query("UPDATE site_page SET views = views + 1 WHERE id = $1", [page]);
  if (request.random() < 0.5) {
    await request.query(`SELECT id, title FROM site_page ORDER BY views DESC LIMIT ${5 + pick(request, 5)}`);
  }
  // Each site has a page that nobody mended after the last release.
  if (request.random() < 0.02) await request.query(`SELECT stars FROM site_rating WHERE page_id = ${page}`);
}

async function showReport(request: SiteRequest): Promise<void> {
  const seconds = slowSeconds(request);
  await request.query(
    `SELECT o.status, count(*), sum(o.total_cents) FROM site_order o, pg_sleep(${seconds}) GROUP BY o.status`,
  );
}

/** Work, not sleep: about a million hashes. */
async function showStatistics(request: SiteRequest): Promise<void> {
  await request.query(
    `SELECT count(*), max(md5(a.body || b.title)) FROM site_page a JOIN site_page b ON b.id <= 500 WHERE a.views >= 0`,
  );
}

/** Holds an order while the payment takes its time; whoever wants the same one waits. */
async function checkOut(request: SiteRequest): Promise<void> {
  const order = pick(request, hotOrderCount);
  await request.query("BEGIN");
  await request.query("SELECT total_cents FROM site_order WHERE id = $1 FOR UPDATE", [order]);
  await request.query(`SELECT pg_sleep(${slowSeconds(request) / 2}) /* payment of order ${order} */`);
  await request.query("UPDATE site_order SET status = 'paid', changed_at = now() WHERE id = $1", [order]);
  await request.query("COMMIT");
}

/** Forgets its transaction while it talks to somebody else: idle in transaction, with a lock. */
async function importOrders(request: SiteRequest): Promise<void> {
  await request.query("BEGIN");
  await request.query(`UPDATE site_order SET status = 'open' WHERE id = ${pick(request, hotOrderCount)}`);
  await request.pause(slowSeconds(request) * 1_000);
  await request.query("COMMIT");
}

/** From 1 to `count`. */
function pick(request: SiteRequest, count: number): number {
  return 1 + Math.floor(request.random() * count);
}

/** A tenth to all of the slowest. */
function slowSeconds(request: SiteRequest): number {
  return Math.round(request.slowMs * (0.1 + 0.9 * request.random())) / 1_000;
}
