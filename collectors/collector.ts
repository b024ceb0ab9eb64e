/**
 * The seam between what is read and what becomes of it: a collector reads one subject and returns; who calls it
 * schedules, times, logs, stores and counts.
 *
 * @module
 */

/** What one run ended with. "Nothing to report" is `skipped` with its reason, not a failure; failures are thrown. */
export type Collection =
  | {
    kind: "samples";
    /** The document's `data` (docs/documents.md). */
    data: Record<string, unknown>;
    /** How many samples it holds, for the log and `agent_status`. */
    rows: number;
    /** Called once the document is stored: the place to advance what the next delta is measured against. */
    stored?: () => void;
    /** How far it tells of what the agent has lost; only of `agent_status`, which fills it with a mark of the outbox. */
    tells?: number;
  }
  | { kind: "skipped"; reason: string };

/** What a run is given. */
export interface CollectContext {
  /** Wall time of this run; goes into records. */
  timestamp: Date;
  /** Aborted at the run's deadline and when the agent stops. */
  signal: AbortSignal;
}

/** One subject: a view of the server, or of the machine. */
export interface Collector {
  /** The document's `type`, and the name in logs and schedules. */
  readonly name: string;
  /** Reads once. Throws what went wrong; must end soon after `context.signal` is aborted. */
  collect(context: CollectContext): Promise<Collection>;
}
