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
  /** When the agent saw the victim wait. */
  stormMs: number;
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
  const storm = await stage.arrival("the storm, as the agent sees it", (one) => showsWaiting(one, scene.victim));
  say(`        It is there. One of those who wait: ${page(`request/${scene.victim}`)}`);
  mood.storm = false;

  say("3 of 4  A broken release: errors, and a deadlock. Look at Log, and at that same request: it is the victim");
  mood.broken = true;
  await scene.resolve();
  await stage.arrival("the deadlock, from the server's log", (document) => tellsError(document, scene.victim));
  say(`        Its whole story: ${page(`request/${scene.victim}`)}; all errors: ${page("log?level=ERROR&span=15m")}`);
  await pause(times.burstMs, undefined, { signal });

  const { kept, refused, missing } = await absence(stage);
  mood.broken = false;
  say(
    `        It is back: ${kept} documents that the agent had kept have come, ${missing} are missing: ${
      page("agents")
    }`,
  );
  say(`The story is over. All of it, over time: ${page("time?span=15m")}`);
  const { victim, holder, partner } = scene;
  return { victim, holder, partner, stormMs: Date.parse(storm.timestamp), kept, refused, missing };
}

/** The listener goes away while there is something to tell, and comes back. */
async function absence(
  { listener, say, signal, times, arrival }: Stage,
): Promise<Pick<StoryFacts, "kept" | "refused" | "missing">> {
  let refused = 0;
  const goneMs = Date.now();
  say(`4 of 4  The listener goes away for ${times.awayMs / 1_000} s. The page says so; the agent keeps its documents`);
  await listener.away(() => void refused++);
  await pause(times.awayMs, undefined, { signal });
  const backMs = Date.now();
  // What was kept may come after what is new: all of it is there when nothing below this one is missing.
  const after = arrival("a document of after the absence", ({ timestamp }) => Date.parse(timestamp) >= backMs);
  await listener.back();
  const { sequence } = await after;
  const missing = await untilComplete({ listener, signal, sequence });
  return { kept: countKept(listener, { goneMs, backMs }), refused, missing };
}

/** Waits until this number is stored and none before it is missing, within bounds; answers with how many are. */
async function untilComplete(
  { listener, signal, sequence }: Pick<Stage, "listener" | "signal"> & { sequence: number },
): Promise<number> {
  const look = () => {
    const agents = listener.current.agents();
    const missing = agents.reduce((sum, agent) => sum + agent.missing, 0);
    return { missing, isDone: missing === 0 && agents.some(({ lastSequence }) => lastSequence >= sequence) };
  };
  for (const endMs = performance.now() + patienceMs; !look().isDone && performance.now() < endMs;) {
    await pause(200, undefined, { signal });
  }
  return look().missing;
}

function countKept({ current }: DemoListener, { goneMs, backMs }: { goneMs: number; backMs: number }): number {
  return current.documents.filter(({ timestamp }) => {
    const atMs = Date.parse(timestamp);
    return atMs >= goneMs && atMs < backMs;
  }).length;
}

function showsWaiting({ type, data }: WireDocument, id: string): boolean {
  const locks = type === "pg_locks" ? data.locks as { blocked_correlation_id: string | null }[] : [];
  return locks.some((lock) => lock.blocked_correlation_id === id);
}

function tellsError({ type, data }: WireDocument, id: string): boolean {
  const entries = type === "pg_log" ? data.entries as { correlation_id: string | null; level: string }[] : [];
  return entries.some((entry) => entry.correlation_id === id && entry.level === "ERROR");
}
