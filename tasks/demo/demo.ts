/**
 * `deno task demo`: the agent at its main job, with nothing to install or configure: a PostgreSQL 18 of its own, a site
 * that keeps it busy, the reference listener, and the agent as a process like any user's.
 *
 * Documents go to stdout; progress and the agent's own log lines to stderr. All that was started is stopped and removed
 * at the end, in reverse order.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type CommandContext, exitClean, exitFailure } from "../command.ts";
import type { Listener } from "../listener/listener.ts";
import type { WireDocument } from "../listener/schemas.ts";
import { Arrivals } from "./arrivals.ts";
import { type DemoAgent, demoConfig, startDemoAgent } from "./demo_agent.ts";
import { DemoListener } from "./demo_listener.ts";
import { presentDocument } from "./demo_lines.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "./embedded_postgres.ts";
import { siteScripts, storyScripts } from "./site_scripts.ts";
import { storyTimes, tellStory } from "./story.ts";
import { seedSite, siteName, startWorkload } from "./workload.ts";

/** The documents of one full set: what `--once` waits for. */
const documentTypes = [
  "pg_stat_activity",
  "pg_stat_statements",
  "pg_locks",
  "system_metrics",
  "agent_status",
] as const;

/** `--once` gives up after this long: two cycles of a minute, and a slow machine's start. */
const onceMs = 180_000;

/** What `--help` prints. */
export const help = `Usage: deno task demo [--once]
  The agent on a PostgreSQL of its own with a small busy site: tells a story of two minutes, until Ctrl-C ends it.
  --once  ends after the first full set of documents
`;

/** The site runs for so long before the agent first looks, so that there is something to see. */
const siteLeadMs = 3_000;

/** Enough in the server's log to be worth collecting: slow statements, lock waits, and whose they were. */
export const serverSettings: Record<string, string> = {
  log_line_prefix: "%m [%p] %e %q%u@%d %a ",
  log_min_duration_statement: "3s",
  log_lock_waits: "on",
};

/** The story waits for a document for so long. */
const arrivalMs = 150_000;
/** Before the story, so that the quiet site can be seen. */
const quietMs = 4_000;
const minuteMs = 60_000;

/** How the demo came to its end. */
type Ending =
  | { kind: "stopped" }
  | { kind: "complete" }
  | { kind: "failed"; reason: string };

/** Runs the demo until it is stopped, or with `--once` until a full set of documents has arrived. */
export async function run(context: CommandContext): Promise<number> {
  const { once = false } = parseArgs({ args: context.args, options: { once: { type: "boolean" } } }).values;
  const say = createNotice(context.printError);
  let ending: Ending;
  try {
    ending = await present({ ...context, once, say });
  } catch (error) {
    if (!context.stop.aborted) throw error;
    ending = { kind: "stopped" };
  }
  if (ending.kind === "failed") say(ending.reason);
  // Whoever asked for a full set has not got it when it was stopped before.
  return ending.kind === "complete" || (ending.kind === "stopped" && !once) ? exitClean : exitFailure;
}

interface DemoOptions extends CommandContext {
  once: boolean;
  say: (line: string) => void;
}

async function present(options: DemoOptions): Promise<Ending> {
  const { once, say, stop, print } = options;
  const progress = new Progress();
  await using stack = new AsyncDisposableStack();
  stack.defer(() => say("Stopped, and removed what it had made"));

  const server = stack.use(
    await startEmbeddedPostgres({ version: 18, settings: serverSettings, progress: say, signal: stop }),
  );
  await prepare(server);
  const apiKey = crypto.randomUUID();
  const arrivals = new Arrivals({ signal: stop, patienceMs: arrivalMs });
  const listener = stack.use(
    new DemoListener({
      apiKey,
      // In the server's folder, which is removed however this process ends.
      dataFolder: join(dirname(server.dataDirectory), "listener"),
      onDocument: async (document) => {
        await print(presentDocument(document)).catch(progress.fail);
        progress.add(document);
        arrivals.add(document);
      },
    }),
  );
  const mood = { storm: false, broken: false };
  const scripts = once ? siteScripts : storyScripts(mood);
  stack.use(
    startWorkload({
      host: server.host,
      port: server.port,
      random: Math.random,
      scripts,
      ...once ? {} : { slowMs: 12_000 },
    }),
  );
  await pause(siteLeadMs, null, { signal: stop });
  const agent = stack.use(await startAgent(options, { server, listener: listener.current, apiKey }));
  introduce(say, { server, listener: listener.current, agent });

  const stage = { server, listener, mood, random: Math.random, say, signal: stop, times: storyTimes };
  const arrival = arrivals.next.bind(arrivals);
  const told = once
    ? Promise.resolve()
    : tellStory({ ...stage, arrival, beforeLook: (leadMs) => beforeLook(leadMs, stop) })
      .then(() => {
        mood.storm = true;
        say("The site goes on, busy now; Ctrl-C ends the demo");
      });
  told.catch((error) => {
    if (!stop.aborted) progress.fail(error);
  });
  const ending = await firstOf({ once, stop, progress, agent, listener: listener.current });
  say("Stopping the agent, the site, the listener and PostgreSQL");
  return ending;
}

/** The agent looks at the whole minute. */
async function beforeLook(leadMs: number, signal: AbortSignal): Promise<void> {
  await pause(quietMs, undefined, { signal });
  const untilMinuteMs = minuteMs - Date.now() % minuteMs;
  const untilLookMs = untilMinuteMs < leadMs ? untilMinuteMs + minuteMs : untilMinuteMs;
  await pause(untilLookMs - leadMs, undefined, { signal });
}

/** As docs/ tells a DBA to prepare a server. */
export async function prepare(server: EmbeddedPostgres): Promise<void> {
  await server.query(
    "CREATE ROLE bitville_monitor LOGIN; GRANT pg_read_all_stats, pg_read_all_settings TO bitville_monitor",
  );
  await seedSite(server);
  await server.query("CREATE EXTENSION pg_stat_statements", { database: siteName });
}

interface Parts {
  server: EmbeddedPostgres;
  listener: Listener;
}

function startAgent(options: DemoOptions, parts: Parts & { apiKey: string }): Promise<DemoAgent> {
  const { server, listener, apiKey } = parts;
  const config = (folder: string) =>
    demoConfig({
      folder,
      databasePort: server.port,
      database: siteName,
      logPath: server.logFile,
      listenerUrl: listener.url,
      apiKey,
    });
  const showLine = createAgentLine(options.printError);
  return startDemoAgent({ config, environment: options.environment, showLine });
}

function introduce(say: (line: string) => void, parts: Parts & { agent: DemoAgent }): void {
  const { server, listener, agent } = parts;
  say(`PostgreSQL ${server.version}: psql -h ${server.host} -p ${server.port} -U ${server.user} site`);
  say(`Its log: ${server.logFile}`);
  say(`The listener: ${listener.url}, and its page: ${listener.pageUrl}`);
  say(`The agent's configuration: ${agent.configPath}`);
  say("The agent collects at its start and then once a minute; Ctrl-C ends the demo");
}

/** Which documents have come, and whether one of them showed a web request. */
class Progress {
  readonly #missing = new Set<string>(documentTypes);
  readonly #complete = Promise.withResolvers<Ending>();
  #correlated = false;

  get ended(): Promise<Ending> {
    return this.#complete.promise;
  }

  add(document: WireDocument): void {
    this.#missing.delete(document.type);
    if (document.type === "pg_stat_activity" && Number(document.data.with_correlation) > 0) this.#correlated = true;
    if (this.#missing.size === 0 && this.#correlated) this.#complete.resolve({ kind: "complete" });
  }

  /** What is still waited for. */
  describe(): string {
    const types = [...this.#missing].join(", ");
    return types === "" ? "a session with a correlation id" : `documents of type ${types}`;
  }

  /** Nobody reads what the demo prints, or its story came to nothing. */
  readonly fail = (error: unknown): void => {
    this.#complete.resolve({
      kind: "failed",
      reason: `Cannot go on: ${error instanceof Error ? error.message : error}`,
    });
  };
}

interface Waiting {
  once: boolean;
  stop: AbortSignal;
  progress: Progress;
  agent: DemoAgent;
  listener: Listener;
}

async function firstOf({ once, stop, progress, agent, listener }: Waiting): Promise<Ending> {
  const { promise, resolve } = Promise.withResolvers<Ending>();
  const stopped = () => resolve({ kind: "stopped" });
  if (stop.aborted) stopped();
  stop.addEventListener("abort", stopped, { once: true });
  progress.ended.then((ending) => {
    if (once || ending.kind === "failed") resolve(ending);
  });
  agent.ended.then(({ code }) => {
    resolve({ kind: "failed", reason: `The agent ended with exit code ${code}; its last lines are above` });
  });
  const overdue = setTimeout(() => {
    if (!once) return;
    const refusals = listener.refusals.map(({ status, reason }) => `; the listener answered ${status}: ${reason}`);
    const missing = `Waited ${onceMs / 1_000} s for ${progress.describe()}`;
    resolve({ kind: "failed", reason: missing + (refusals.at(-1) ?? "") });
  }, onceMs);
  const ending = await promise;
  clearTimeout(overdue);
  stop.removeEventListener("abort", stopped);
  return ending;
}

function createNotice(printError: (text: string) => void): (line: string) => void {
  return (line) => printError(`demo | ${line}\n`);
}

/** Lines of the agent's log stand back behind the documents, where there are colours. */
function createAgentLine(printError: (text: string) => void): (line: string) => void {
  const [dim, plain] = Deno.stderr.isTerminal() && !Deno.noColor ? ["\x1b[2m", "\x1b[22m"] : ["", ""];
  return (line) => printError(`${dim}agent | ${line}${plain}\n`);
}
