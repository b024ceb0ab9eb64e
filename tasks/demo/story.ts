/**
 * The story that `deno task demo` tells: a quiet site, a lock storm, a deadlock in a burst of errors, and a listener that
 * goes away and comes back with nothing missing. It makes the things happen, and says where to look.
 *
 * @module
 */

import { setTimeout as pause } from "node:timers/promises";
import type { WireDocument } from "../listener/schemas.ts";
import type { DemoListener } from "./demo_listener.ts";
import { deadlockScene } from "./scenes.ts";
import type { SiteMood } from "./site_scripts.ts";
import type { SiteServer } from "./workload.ts";

/** How long its parts take. */
export interface StoryTimes {
  /** From the storm to the moment when the agent looks. */
  leadMs: number;
  /** Of errors. */
  burstMs: number;
  /** Of the listener's absence. */
  awayMs: number;
}

/** The demo's: all of it ends within two minutes, wherever in a minute it begins. */
export const storyTimes: StoryTimes = { leadMs: 14_000, burstMs: 12_000, awayMs: 14_000 };

/** For how long anything that must come is waited for. */
const patienceMs = 90_000;

/** What the story is told on. */
export interface Stage {
  server: SiteServer;
  listener: DemoListener;
  mood: SiteMood;
  random: () => number;
  say: (line: string) => void;
  signal: AbortSignal;
  times: StoryTimes;
  /** Resolves `leadMs` before the agent looks next. */
  beforeLook: (leadMs: number) => Promise<void>;
  /** Resolves with the next document that fits. */
  arrival: (what: string, fits: (document: WireDocument) => boolean) => Promise<WireDocument>;
}

/** What the story was about. */
export interface StoryFacts {
  victim: string;
  holder: string;
  partner: string;
  /** Documents that were collected while the listener was away, and came. */
  kept: number;
  /** Deliveries that found it away. */
  refused: number;
  /** Numbers that have not come, in the end. */
  missing: number;
}

/** Tells it, to the end or to the signal (then it throws the signal's reason). */
export async function tellStory(stage: Stage): Promise<StoryFacts> {
  const { say, mood, times, listener, signal } = stage;
  const page = (address: string) => `${listener.current.pageUrl}#/${address}`;
  say(`1 of 4  A quiet site. Open ${page("now")} – it is live, leave it open`);
  await stage.beforeLook(times.leadMs);

  say("2 of 4  A lock storm: everybody wants the same two orders. Look at Now, at the tree of who waits for whom");
  mood.storm = true;
  const scene = deadlockScene(stage);
  await scene.block();
  await stage.arrival("the storm, as the agent sees it", (document) => showsWaiting(document, scene.victim));
  say(`        It is there. One of those who wait: ${page(`request/${scene.victim}`)}`);
  mood.storm = false;

  say("3 of 4  A broken release: errors, and a deadlock. Look at Log, and at that same request: it is the victim");
  mood.broken = true;
  await scene.resolve();
  await stage.arrival("the deadlock, from the server's log", (document) => tellsError(document, scene.victim));
  say(`        Its whole story: ${page(`request/${scene.victim}`)}; all errors: ${page("log?level=ERROR&span=15m")}`);
  await pause(times.burstMs, undefined, { signal });

  const { kept, refused } = await absence(stage);
  mood.broken = false;
  const missing = await untilComplete(stage);
  say(
    `        It is back: ${kept} documents that the agent had kept have come, ${missing} are missing: ${
      page("agents")
    }`,
  );
  say(`The story is over. All of it, over time: ${page("time?span=15m")}`);
  const { victim, holder, partner } = scene;
  return { victim, holder, partner, kept, refused, missing };
}

/** The listener goes away while there is something to tell, and comes back. */
async function absence({ listener, say, signal, times, arrival }: Stage): Promise<{ kept: number; refused: number }> {
  let refused = 0;
  const goneMs = Date.now();
  say(`4 of 4  The listener goes away for ${times.awayMs / 1_000} s. The page says so; the agent keeps its documents`);
  await listener.away(() => void refused++);
  await pause(times.awayMs, undefined, { signal });
  const backMs = Date.now();
  const kept = new Set<number>();
  const settled = arrival("a document of after the absence", ({ sequence, timestamp }) => {
    const atMs = Date.parse(timestamp);
    if (atMs >= goneMs && atMs < backMs) kept.add(sequence);
    return atMs >= backMs;
  });
  await listener.back();
  await settled;
  await untilComplete({ listener, signal });
  return { kept: kept.size, refused };
}

/** Waits until no number is missing, within bounds; answers with how many are. */
async function untilComplete({ listener, signal }: Pick<Stage, "listener" | "signal">): Promise<number> {
  const missing = () => listener.current.agents().reduce((sum, agent) => sum + agent.missing, 0);
  for (const endMs = performance.now() + patienceMs; missing() > 0 && performance.now() < endMs;) {
    await pause(200, undefined, { signal });
  }
  return missing();
}

function showsWaiting({ type, data }: WireDocument, id: string): boolean {
  const locks = type === "pg_locks" ? data.locks as { blocked_correlation_id: string | null }[] : [];
  return locks.some((lock) => lock.blocked_correlation_id === id);
}

function tellsError({ type, data }: WireDocument, id: string): boolean {
  const entries = type === "pg_log" ? data.entries as { correlation_id: string | null; level: string }[] : [];
  return entries.some((entry) => entry.correlation_id === id && entry.level === "ERROR");
}
