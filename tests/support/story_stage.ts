/**
 * The demo's story on a real server, told as fast as it happens: the agent looks about once a second instead of once a
 * minute. For tests of the listener's page, which want real documents.
 *
 * @module
 */

import { join } from "node:path";
import { Arrivals } from "../../tasks/demo/arrivals.ts";
import { prepare, serverSettings } from "../../tasks/demo/demo.ts";
import { demoConfig } from "../../tasks/demo/demo_agent.ts";
import { DemoListener } from "../../tasks/demo/demo_listener.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../tasks/demo/embedded_postgres.ts";
import { storyScripts } from "../../tasks/demo/site_scripts.ts";
import { type StoryFacts, tellStory } from "../../tasks/demo/story.ts";
import { siteName, startWorkload } from "../../tasks/demo/workload.ts";
import { ownEnvironment, projectRoot } from "./agent_process.ts";

export const stageKey = "stage-key";
const patienceMs = 60_000;
/** Shorter than the demo's, longer than a look of the agent. */
const times = { leadMs: 0, burstMs: 1_500, awayMs: 2_500 };

/** A server, its site, an agent and a listener. Disposing of it stops all. */
export interface StoryStage extends AsyncDisposable {
  server: EmbeddedPostgres;
  listener: DemoListener;
  said: readonly string[];
  /** Tells the story; once. */
  tell(): Promise<StoryFacts>;
  /** Stops the agent: no document comes any more but those of tests. */
  stopAgent(): Promise<void>;
}

/** Starts everything but the story. */
export async function startStoryStage(): Promise<StoryStage> {
  await using stack = new AsyncDisposableStack();
  const stop = new AbortController();
  const server = stack.use(await startEmbeddedPostgres({ version: 18, settings: serverSettings }));
  await prepare(server);
  const folder = await Deno.makeTempDir({ prefix: "bitville-stage-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const arrivals = new Arrivals({ signal: stop.signal, patienceMs });
  const listener = stack.use(
    new DemoListener({
      apiKey: stageKey,
      dataFolder: join(folder, "listener"),
      onDocument: (document) => arrivals.add(document),
      bounds: { liveEveryMs: 50 },
    }),
  );
  const mood = { storm: false, broken: false };
  const { host, port } = server;
  stack.use(startWorkload({ host, port, random: Math.random, scripts: storyScripts(mood), slowMs: 2_000 }));
  const iniPath = join(folder, "agent.ini");
  const config = { folder, databasePort: port, database: siteName, logPath: server.logFile };
  await Deno.writeTextFile(iniPath, demoConfig({ ...config, listenerUrl: listener.current.url, apiKey: stageKey }));
  const agent = startAgent(iniPath);
  stack.defer(() => agent.stop());
  stack.defer(() => stop.abort());
  const said: string[] = [];
  const parts = stack.move();
  return {
    ...{ server, listener, said },
    tell: () =>
      tellStory({
        ...{ server, listener, mood, times, random: Math.random, signal: stop.signal },
        say: (line) => void said.push(line),
        beforeLook: () => arrivals.next("a look of the agent", ({ type }) => type === "agent_status").then(() => {}),
        arrival: (what, fits) => arrivals.next(what, fits),
      }),
    stopAgent: () => agent.stop(),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** The agent as `start` runs it, but for how often it looks. */
function startAgent(iniPath: string): { stop: () => Promise<void> } {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", `${projectRoot}tests/support/agent_that_looks_often.ts`, "start", "--config", iniPath],
    clearEnv: true,
    env: ownEnvironment(),
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  let stopped: Promise<void> | null = null;
  const stop = async () => {
    child.kill("SIGTERM");
    await child.status;
  };
  return { stop: () => stopped ??= stop() };
}
