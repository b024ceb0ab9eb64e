/**
 * The bounds of the reference listener, each with its reason. Those of the agent are in `limits.ts` at the top.
 *
 * @module
 */

/** Of a body, compressed and not: above the largest document that an agent sends (16 MiB). */
export const bodyBytesMax = 20 * 1024 * 1024;

/** From the headers to the end of the body. An agent waits for at most 60 s, and for 5 s by default. */
export const bodyMs = 30_000;

/**
 * Bytes of all bodies that have been received and not yet been stored. Whoever comes when they are used up is told to
 * come again: a fleet that returns together must not fill the memory.
 */
export const bytesUnderWayMax = 256 * 1024 * 1024;

/** What of {@link bytesUnderWayMax} a body takes before its size is known (chunked). */
export const unknownBodyBytes = 256 * 1024;

/** Documents of one commit. Each commit waits for the disk once, so that many share the wait. */
export const batchDocumentsMax = 500;

/** The first document of a batch waits for so long for others, at most. */
export const batchDelayMs = 4;

/** Documents that one key may deliver in a second, on the long run: ten thousand agents at six a minute. */
export const rateDocumentsPerS = 1_000;

/** And at once: two minutes of a thousand agents, who all collect at second 0. */
export const rateBurstDocuments = 12_000;

/** Pages that are told of new documents at the same time. */
export const livePagesMax = 100;

/** What has arrived is told to pages so often at most. */
export const liveEveryMs = 500;

/** A comment line now and then, so that proxies do not take a silent stream for a dead one. */
export const livePulseMs = 15_000;

/** Documents that are kept in memory for whoever asks for `Listener.documents` (tests and the demo). */
export const keptDocumentsMax = 1_000;

/** How long data is kept, unless told otherwise. */
export const retentionDaysDefault = 7;

/** How much room the database may take, unless told otherwise. */
export const databaseMbDefault = 2_048;

/** How often the retention looks. */
export const retentionEveryMs = 60_000;

/** What the retention deletes in one commit, so that documents do not wait for long behind it. */
export const retentionRowsMax = 2_000;

/** Statements of one document that are kept for the page: the first of each order, and no more than these. */
export const statementsPerOrder = 25;

/** The part of a log message that is searched and shown in lists; the document has it whole. */
export const messageCharsMax = 500;

/** Points of one series that an answer has at most: more than a screen has pixels in a row. */
export const pointsMax = 2_000;

/** From the beginning of a recording to its last sample: the agent records for a minute, and waits for one answer more. */
export const burstMsMax = 120_000;

/** How far before a recording its counts of the time before may lie: the agent keeps half a minute of them. */
export const burstBeforeMsMax = 60_000;

/** Where nothing is known for longer than this before a recording, no line leads to it: counts come every 5 s. */
export const burstApartMs = 12_000;

/** Samples of recordings in an answer, the newest: two days of an agent that records as often as it may. */
export const burstSamplesMax = 30_000;

/** How far before a moment a sample may lie to be shown as this moment: what a chart shows is averaged in steps. */
export const burstMomentMs = 30_000;

/** Rows of a list in an answer. */
export const rowsMax = 500;

/** Statements in an answer that asks for all: as many as pg_stat_statements.max is by default. */
export const statementsListedMax = 5_000;

/** Documents that are opened to tell one request's story: four hours of a request that is seen every minute. */
export const storyDocumentsMax = 240;

/** Log entries found by a process's number that a story has at most. */
export const storyMentionsMax = 200;

/** Waits behind a request whose ends are looked for. */
export const storyWaitersMax = 30;

/** Around the time when a request was seen in a process, in which a log entry that names the process means it. */
export const storyMarginMs = 10 * 60 * 1_000;

/** An agent's clock may be ahead of ours by so much; later times are taken for this one. */
export const clockAheadMs = 60_000;
