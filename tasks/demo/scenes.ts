/**
 * The scene at the heart of the demo's story: a request that is blocked, then caught in a deadlock, and logged. Three
 * requests play it, each as a PHP application would: a connection with the request's name, a transaction, statements.
 *
 * @module
 */

import { setTimeout as pause } from "node:timers/promises";
import { type Ask, withClient } from "./client.ts";
import { siteName, type SiteServer, uuid } from "./workload.ts";

/** Two orders that nobody else wants. */
const [firstOrder, secondOrder] = [101, 102];
/** The server looks for a deadlock after so long a wait (deadlock_timeout). */
const deadlockTimeoutMs = 1_000;

/** Who played which part, by their requests' ids. */
export interface DeadlockScene {
  /** Held up the victim from the start, and went its way. */
  holder: string;
  /** Was blocked, went on, and was ended by the server. */
  victim: string;
  /** The other in the ring; goes on when the victim has ended. */
  partner: string;
  /** Begins the scene: resolves when the victim has waited for the holder for a while. */
  block(): Promise<void>;
  /** Ends it: resolves when the victim has had its error and all have gone. */
  resolve(): Promise<void>;
}

export interface SceneOptions {
  server: SiteServer;
  random: () => number;
  signal: AbortSignal;
}

/** Prepares the scene; nothing happens before {@link DeadlockScene.block}. */
export function deadlockScene({ server, random, signal }: SceneOptions): DeadlockScene {
  const [holder, victim, partner] = [uuid(random), uuid(random), uuid(random)];
  const released = Promise.withResolvers<void>();
  const visit = (id: string, act: (ask: Ask) => Promise<void>) => {
    const { host, port } = server;
    const connection = { host, port, user: siteName, database: siteName, applicationName: `bitville-${id}`, signal };
    return withClient(connection, act);
  };
  let acts: Promise<unknown>[] = [];
  return {
    ...{ holder, victim, partner },
    async block() {
      const held = Promise.withResolvers<void>();
      const partnerReady = Promise.withResolvers<void>();
      const victimHasFirst = Promise.withResolvers<void>();
      const partnerWaits = Promise.withResolvers<void>();
      acts = [
        visit(holder, (ask) => hold(ask, held.resolve, released.promise)),
        visit(partner, async (ask) => {
          await ask("BEGIN");
          await ask(change(secondOrder, "packed"));
          partnerReady.resolve();
          await victimHasFirst.promise;
          // It waits first, so that it has looked for a deadlock in vain when the ring closes: the victim finds it.
          const waiting = ask(change(firstOrder, "packed"));
          await pause(deadlockTimeoutMs * 1.5, undefined, { signal });
          partnerWaits.resolve();
          await waiting;
          await ask("COMMIT");
        }),
        Promise.all([held.promise, partnerReady.promise]).then(() =>
          visit(victim, async (ask) => {
            await ask("BEGIN");
            await ask(change(firstOrder, "paid"));
            victimHasFirst.resolve();
            await partnerWaits.promise;
            await ask(change(secondOrder, "paid"));
          })
        ),
      ];
      // Ends are looked at in the end; until then a failure must not go unhandled.
      for (const act of acts) act.catch(() => {});
      await untilWaiting(server, victim, signal);
      // So long that the server's log tells of it, too (log_lock_waits).
      await pause(deadlockTimeoutMs * 1.2, undefined, { signal });
    },
    async resolve() {
      released.resolve();
      await Promise.allSettled(acts);
    },
  };
}

async function hold(ask: Ask, onHeld: () => void, released: Promise<void>): Promise<void> {
  await ask("BEGIN");
  await ask(change(firstOrder, "on hold"));
  onHeld();
  await released;
  await ask("COMMIT");
}

function change(order: number, status: string): string {
  return `UPDATE site_order SET status = '${status}', changed_at = now() WHERE id = ${order}`;
}

async function untilWaiting({ host, port }: SiteServer, id: string, signal: AbortSignal): Promise<void> {
  await withClient({ host, port, user: "postgres", database: "postgres", signal }, async (ask) => {
    for (;;) {
      const rows = await ask(
        "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'",
        [`bitville-${id}`],
      );
      if (rows.length > 0) return;
      await pause(50, undefined, { signal });
    }
  });
}
