/**
 * Every bound of the agent, with its reason: queues, loops, bodies, caches and waits. What an operator may set is in
 * `config.ts`; what is here protects the server and the machine from the agent, and the agent from both.
 *
 * @module
 */

// Of the database.

/** Connections in all, whatever is configured: what a server that is short of them can rely on. */
export const connectionsMax = 5;
/** A statement waits for a lock no longer than this, so that the agent never queues in front of an application. */
export const lockTimeoutMs = 500;
/** A transaction of ours that sits idle is ended by the server: it would hold back vacuum. */
export const idleInTransactionTimeoutMs = 10_000;
/** From the first packet to a session that answers. */
export const connectTimeoutMs = 5_000;
/** Beyond the server's own statement timeout: for a network that died and a server that cannot answer. */
export const answerGraceMs = 2_000;
/** A connection beyond the first is given back after this long without use. */
export const connectionIdleMs = 10_000;
/** First and longest pause between attempts to connect. The longest is below one interval: back within a cycle. */
export const reconnectFirstMs = 1_000;
export const reconnectMaxMs = 30_000;

// Of what is collected.

/** Sessions in one document, the longest transactions first; totals count all of them. */
export const sessionsMax = 1_000;
/** Characters (UTF-16 units) of a session's query, the mark of a cut included. */
export const sessionQueryCharsMax = 1_000;
/** Backends whose last correlation id is remembered, to tell a name that a pooler left behind. */
export const rememberedBackendsMax = 10_000;
/** How long a backend's id is remembered: beyond the lifetime that poolers give their connections. */
export const rememberedBackendMs = 24 * 60 * 60 * 1_000;

// Of a run.

/** A run is cut off this long before the next tick, so that the next one finds its place free. */
export const deadlineMarginMs = 2_000;
/** The least that a run is given: the one at the start may come right before a tick. */
export const deadlineMinMs = 10_000;
/** A stop lets running collectors finish for this long, then cuts them off. */
export const stopGraceMs = 10_000;
/** Closing connections and files is not waited for longer than this. */
export const closeGraceMs = 3_000;
/** A second signal this soon after the first is the same one by another way; nobody presses Ctrl-C twice so fast. */
export const signalRepeatMs = 500;

// Of the outbox.

/** A document's JSON, uncompressed, in bytes. A larger one is refused and counted. */
export const documentBytesMax = 16 * 1024 * 1024;
/** One stored piece of a document: Deno KV takes 65,536 bytes a value, serialisation included. */
export const chunkBytesMax = 64_000;
/** Pieces in one commit: Deno KV takes 819,200 bytes a commit, keys and header included. */
export const chunksPerCommitMax = 12;
/** Deletions in one commit: Deno KV takes 1,000 mutations. */
export const mutationsPerCommitMax = 900;
/** What a stored document costs beside its pieces: key, header and index pages, counted towards the cap. */
export const recordOverheadBytes = 512;
/** Documents that the listener refused for good, kept for a look; the oldest goes first. */
export const rejectedRecordsMax = 100;
/** And their share of the cap. */
export const rejectedShareMax = 0.1;

// Of the delivery.

/** Failures in a row that open the circuit. */
export const circuitFailuresMax = 5;
/** How long an open circuit rests before it tries again. */
export const circuitCooldownMs = 60_000;
/** First pause after a failure; it doubles, with jitter, until the circuit opens. */
export const backoffFirstMs = 500;
export const backoffMaxMs = 30_000;
/** The longest `Retry-After` that is honoured: a wrong header must not silence the agent for a day. */
export const retryAfterMaxMs = 60 * 60 * 1_000;
/** An answer's body is read up to here so that the connection can be used again, and then dropped. */
export const answerBytesMax = 64 * 1024;
/** A kept connection to the listener is closed after this long without use; it outlives one interval. */
export const listenerIdleMs = 90_000;
/** Pause after the outbox could not be read. */
export const outboxRetryMs = 5_000;
/** A stop lets a request under way end for this long. */
export const sendGraceMs = 5_000;

// Of a server in trouble.

/** A run that keeps the server busy for longer is a hard one: the collector steps back. */
export const hardRunMs = 1_000;
/** A collector that has stepped back runs at least on every so many-th tick: never silent. */
export const stepBackMax = 16;
/** The status of a cycle waits for the cycle's collectors for at most this long. */
export const statusWaitMs = 10_000;
