/**
 * The seam to whoever keeps the agent's cost within its bound: what collectors are asked to leave out, and what they tell
 * about the server in return. The governor (tasks/) is behind it.
 *
 * @module
 */

import * as limits from "../limits.ts";

/** What a read of the server says about how it fares. */
export interface ServerSigns {
  /** Sessions that run a statement and do not wait for a lock. */
  active: number;
  lockWaiters: number;
  /** Client sessions, without the agent's own. */
  clients: number;
  /** How many there may be; null where the server did not say. */
  clientsMax: number | null;
}

/** What collectors look at before they ask, and report to after. */
export interface Restraint {
  /** Whether texts of statements may be read. */
  readonly texts: boolean;
  /** Of how many waiters the blockers may be asked for. */
  readonly lockWaitersMax: number;
  /** Tells what a read of the sessions showed. */
  seeServer(signs: ServerSigns): void;
  /** Tells the share of the last ten seconds in which some task waited for a CPU, in percent. */
  seePressure(percent: number): void;
  /** Tells what the server itself says that this role's statements took since it was last told, in milliseconds. */
  seeCost(ms: number): void;
}

/** Nothing is left out: for a single run, and for tests. */
export const unrestrained: Restraint = {
  texts: true,
  lockWaitersMax: limits.lockWaitersMax,
  seeServer: () => {},
  seePressure: () => {},
  seeCost: () => {},
};
