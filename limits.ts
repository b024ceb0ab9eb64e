// deno-lint-ignore-file house/file-length -- every bound stands in this one file
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
/** What a connection reads at once, held as long as it is open; large answers come in as many pieces as from Deno itself. */
export const socketReadBytes = 64 * 1024;
/** A connection beyond the first is given back after this long without use. */
export const connectionIdleMs = 10_000;
/** Whoever finds all connections in use waits this long for one before another is made: that costs a server process. */
export const connectionPatienceMs = 250;
/** First and longest pause between attempts to connect. The longest is below one interval: back within a cycle. */
export const reconnectFirstMs = 1_000;
export const reconnectMaxMs = 30_000;

// Of what is collected.

/** Sessions in one document, the longest transactions first; totals count all of them. */
export const sessionsMax = 1_000;
/** Characters (UTF-16 units) of a session's query, the mark of a cut included. */
export const sessionQueryCharsMax = 1_000;
/** Collectors of one cycle share a read of the sessions that is not older than this. */
export const snapshotSharedMs = 5_000;
/** Backends whose last correlation id is remembered, to tell a name that a pooler left behind. */
export const rememberedBackendsMax = 10_000;
/** How long a backend's id is remembered: beyond the lifetime that poolers give their connections. */
export const rememberedBackendMs = 24 * 60 * 60 * 1_000;

// Of a run.

/** A run is cut off this long before the next tick, so that the next one finds its place free. */
export const deadlineMarginMs = 2_000;
/** The least that a run is given: the one at the start may come right before a tick. */
export const deadlineMinMs = 10_000;
/** A tick may come so much before its minute by the wall clock, which NTP slews while the timer runs. */
export const tickEarlyMs = 5_000;
/** How often it is asked whether the wall clock was set, and by how much it must differ: NTP slews 5 ms in this time. */
export const clockWatchMs = 10_000;
export const clockSetMs = 1_000;
/** A stop lets running collectors finish for this long, then cuts them off. */
export const stopGraceMs = 10_000;
/** After the start: the first cycle has ended by then, and what loading has left behind is collected. */
export const loadingCollectedMs = 3_000;
/** From then on: 20 to 40 ms of CPU each time, so 2 to 4 a cycle, and what a large cycle has left goes back to the system. */
export const garbageCollectedMs = 600_000;
/** Closing connections and files is not waited for longer than this. */
export const closeGraceMs = 3_000;
/** A second signal this soon after the first is the same one by another way; nobody presses Ctrl-C twice so fast. */
export const signalRepeatMs = 500;

/** One check of the doctor: beyond every timeout within it. */
export const doctorCheckMs = 20_000;

// Of the outbox.

/** A document's JSON, uncompressed, in bytes. A larger one is refused and counted. */
export const documentBytesMax = 16 * 1024 * 1024;
/**
 * So much is compressed in one go, within 2 ms, and a quarter of it unpacked: a full document of log entries. Deno's zlib
 * works on the same thread when it is asked to do so step by step, for more than that, and takes a tenth longer.
 */
export const gzipInlineBytesMax = 512 * 1024;
/** What a larger document is compressed into at a time: the usual 16 KB would have it joined from several. */
export const gzipChunkBytes = 64 * 1024;
/**
 * JSON of a log's entries from this size on is not copied into its document, which is then sent unpacked anew and not from
 * memory: blocks of this size are taken from the system and given back each time (`tasks/launch.sh`).
 */
export const lentJsonBytesMin = 128 * 1024;
/** A document up to this is compressed with little memory: to 2 % more bytes at this size, and to as many at 4 KB. */
export const gzipSmallBytesMax = 16 * 1024;
/** One stored piece of a document: Deno KV takes 65,536 bytes a value, serialisation included. */
export const chunkBytesMax = 64_000;
/** Pieces in one commit: Deno KV takes 819,200 bytes a commit, keys, header and a checkpoint included. */
export const chunksPerCommitMax = 11;
/** Deletions in one commit: Deno KV takes 1,000 mutations. */
export const mutationsPerCommitMax = 900;
/**
 * Of a new file of the outbox. SQLite writes whole pages, and what is longer than a quarter of one goes to pages of its
 * own: a document of 4 KB, 1.3 KB compressed, to one, of which two thirds of 4,096 bytes would be empty. Smaller pages
 * are more of them for a large document: it is drained a quarter slower with 1,024 bytes.
 */
export const outboxPageBytes = 2_048;
/** Documents that are put in meanwhile share the next commit: a cycle's, and a few of the log's. */
export const documentsPerCommitMax = 10;
/**
 * After so long without a document the next one waits so long for company: the collectors of one tick end some
 * milliseconds apart, and a commit is a third of what storing and sending a small document costs.
 */
export const companyAfterMs = 1_000;
export const companyMs = 25;
/** Bytes of JSON that are made ready for it at once, beside one larger document. */
export const readiedBytesMax = 2 * 1024 * 1024;
/** With more than this at once it counts more that they are stored soon than that they are stored small. */
export const hurriedBytes = 1024 * 1024;
/** Delivered documents that are forgotten with the next commit: no more than these come twice after a crash, */
export const settledTogetherMax = 50;
/** nor any that was delivered so long before it. */
export const settleDelayMs = 1_000;
/** Deletions of theirs beside a commit's own mutations, within Deno KV's 1,000. */
export const settledMutationsMax = 500;
/** Documents that are kept in memory, as stored, until they are sent: those of two usual cycles. */
export const recentBytesMax = 256 * 1024;
/** And of these, as they are sent: one large document, or all of a small cycle. */
export const recentJsonBytesMax = 512 * 1024;
/** What a stored document costs beside its pieces: key, header and index pages, counted towards the cap. */
export const recordOverheadBytes = 512;
/** Documents that the listener refused for good, kept for a look; the oldest goes first. */
export const rejectedRecordsMax = 100;
/** And their share of the cap. */
export const rejectedShareMax = 0.1;
/** Ranges of lost documents that wait to be told, and types counted apart in each: together within one value of KV. */
export const lossRangesMax = 100;
export const lossTypesMax = 8;
/** Numbers that are reserved at once: what a lost outbox may leave as a hole, and how rarely the reservation is synced. */
export const sequenceBlock = 20;
/** Compressed documents that are held in memory while the outbox cannot be written; the oldest goes first. */
export const heldBytesMax = 16 * 1024 * 1024;
/** What can be read again from its source is held up to this share: the source keeps the rest. */
export const heldShareOfSourced = 0.5;
/** What a wake-up of the queue takes: the documents of a cycle are stored within it, the status half a second late. */
export const wakeDelayMs = 1_000;
/** Between two attempts to write again. */
export const outboxProbeMs = 5_000;
/** What an attempt writes first, beside the outbox: room for a few documents, so that it does not stop at once again. */
export const outboxProbeBytes = 256 * 1024;
/** What a damaged outbox still holds is carried over within this time: the agent must start. 100 MB take less. */
export const salvageMs = 8_000;
/** Numbers that are looked up one by one where a damaged page hides the list. */
export const salvageLookupsMax = 20_000;
/** Damaged outboxes that are kept for a look, and their bytes as a share of the cap; the oldest goes first. */
export const quarantinedFilesMax = 3;
export const quarantinedShareMax = 2;

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
/** And for so long: the status has been read, and the next document waits. */
export const answerBodyMs = 1_000;
/**
 * A backlog goes out no faster than this. A usual cycle is six documents a minute, so an hour's backlog is back within
 * half a minute, and a hundred agents are two thousand requests a second to a listener that has just come back.
 */
export const backlogDocumentsPerS = 20;
/** And in bytes as stored: 100 MB of large documents within three minutes, on a hundredth of a gigabit's line. */
export const backlogBytesPerS = 1_000_000;
/** A large backlog begins after a random part of this: the agents of a fleet notice in the same second. */
export const backlogDelayMaxMs = 5_000;
/** A kept connection to the listener is closed after this long without use; it outlives one interval. */
export const listenerIdleMs = 90_000;
/** Pause after the outbox could not be read. */
export const outboxRetryMs = 5_000;
/** A stop lets a request under way end for this long. */
export const sendGraceMs = 5_000;

// Of standing still: beyond these the watchdog is not fed, and the service manager starts the agent anew.

/** Intervals without a tick: a run ends before the next tick, or the one after it. */
export const stalledIntervals = 3;
/** A request under way: twice the longest timeout that can be set. */
export const stalledRequestMs = 120_000;
/** Documents that wait without an attempt: the longest pause that a listener can ask for, twice. */
export const stalledDrainMs = 2 * retryAfterMaxMs;
/** The service manager is told that the agent is ready after its first runs, or after this long with a server that hangs. */
export const readyWaitMs = 30_000;
/** The watchdog is fed so many times within its time. */
export const watchdogBeats = 3;
/** Between two reports to a service manager without a watchdog. */
export const statusReportMs = 20_000;

// Of a server in trouble.

/** A collector whose run takes longer is something that the doctor tells. */
export const hardRunMs = 1_000;
/** What the agent may cost the server: half a percent of one core, 300 ms a minute. */
export const serverTimeShare = 0.005;
/** While the server is in trouble, this share of it: above the dearest usual cycle, below what texts add to one. */
export const troubledBudgetShare = 0.5;
/** Of the budget; at or below this a cycle is calm. Apart from the budget, so that no cost is both. */
export const calmBudgetShare = 0.5;
/** Calm cycles before a step up, and the most that they become when steps up have to be taken back: an hour. */
export const governorCalmCycles = 5;
export const governorCalmCyclesMax = 60;
/** A step down so soon after a step up takes it back. */
export const governorRelapseCycles = 6;
/** How often statements and activity are read where they have been slowed down. */
export const governedStatementsEvery = 5;
export const governedActivityEvery = 2;
/** Waiters whose blockers are asked for then, instead of `lockWaitersMax`. */
export const governedLockWaitersMax = 50;
/** From this share of max_connections on, every connection is one that an application may miss. */
export const connectionsShortShare = 0.9;
/** Waiters for locks that are a long queue. */
export const lockQueueLong = 100;
/** Sessions a CPU that run a statement: beyond this they mostly wait for each other. */
export const activePerCpuMany = 10;
/** Share of the time in which somebody waited for a CPU. */
export const cpuPressureHighPercent = 60;
/** All schedules fire in the same second; the status waits this long for the others to begin. */
export const statusDelayMs = 500;
/** The status of a cycle waits for the cycle's collectors for at most this long. */
export const statusWaitMs = 10_000;

// Of bursts.

/** Between two probes: a storm of 20 s is noticed while most of it is still to come. */
export const burstProbeMs = 5_000;
/** Probes that are kept, for the half minute before. */
export const burstRingProbes = 7;
/** Waiters for locks at one moment that are no coincidence. */
export const burstLockWaiters = 10;
/** A jump: so many times the usual number of active sessions, or of CPUs where that is more, */
export const burstActiveFactor = 4;
/** once so many probes tell what is usual. */
export const burstProbesForJump = 3;
/** Errors in the server's log within so long that are a storm. */
export const burstErrors = 100;
export const burstErrorsWithinMs = 10_000;
/** A recording takes a sample a second, for a minute at most, and ends early after so long without its cause. */
export const burstSampleMs = 1_000;
export const burstMs = 60_000;
export const burstCalmMs = 10_000;
/** A sample rests for this many times what it took: 2 % of the time, 1.2 s in a minute. */
export const burstPauseFactor = 50;
/** Between two recordings. Twelve of an hour at most, so 0.4 % of the time on average. */
export const burstRestMs = 5 * 60_000;
/** Sessions of a sample, the longest transactions first, and roots of its blocking trees. */
export const burstSessionsMax = 10;
export const burstRootsMax = 5;
/** Characters (UTF-16 units) of a session's query in a sample, the mark of a cut included. */
export const burstQueryCharsMax = 200;
/** Bytes of all samples as JSON: with the envelope below 1 MB. */
export const burstBytesMax = 950_000;

// Of the machine's figures.

/** A file of /proc: some 130 bytes a device, so enough for 30,000 of them. A longer one is something else. */
export const procFileBytesMax = 4 * 1024 * 1024;
/** How long a file system may take to tell its space: a network mount whose server is gone never does. */
export const fileSystemAnswerMs = 2_000;
/** CPU times come in steps of 10 ms: over a shorter time than this a percentage says little. */
export const cpuIntervalMinMs = 1_000;
/** CPU times run backwards and ahead of the clock by a little; by more than this they are of another CPU. */
export const cpuTimesSlackMs = 3_000;

// Of pg_stat_statements.

/** Statements in one document, those with the most execution time first. */
export const statementsMax = 100;
/** Characters (UTF-16 units) of a statement's query, the mark of a cut included. */
export const statementQueryCharsMax = 1_000;
/**
 * The counters are read in full once in so many reads, and otherwise what has changed: a full read costs the server
 * three to five times as much, so this adds a tenth to what it costs on average. It brings what the others may overlook.
 */
export const fullReadEvery = 30;
/** Entries that the server has dropped are remembered until they are this share of those it has. */
export const droppedEntriesShareMax = 0.25;
/** Places for each entry that is known, before rounding up to a power of two: nearly every entry finds one. */
export const statementSlotsFactor = 1.5;
/** Places in all: 1 MB sent a cycle. Entries beyond (some 170,000) are sent each time. */
export const statementSlotsMax = 2 ** 18;
/** Texts that are kept, the most recently reported ones: 4 MB at most. Twenty documents without one in common. */
export const statementTextsMax = 2_000;
/** The agent's own statements under a role that others use: so many texts more are asked for, to find and replace them. */
export const ownStatementsMax = 30;
/** How often the extension, and names of databases and roles, are looked up again: all of them change, rarely. */
export const extensionCheckMs = 5 * 60_000;
/** A read of texts rests for this many times what it cost: half a percent of the time. */
export const textPauseFactor = 200;
/** The pause after a read of texts that failed; it doubles while they fail. */
export const textPauseFirstMs = 60_000;
/** The longest of these pauses. */
export const textPauseMaxMs = 60 * 60 * 1_000;

// Of locks.

/** Waiters whose blockers are asked for, the longest waiting first: what pg_blocking_pids costs grows with the queue. */
export const lockWaitersMax = 500;
/** Pairs of waiter and blocker that the server sends; each waiter's share is equal. */
export const lockEdgesMax = 5_000;
/** More waiters than these are looked up by one sweep over all backends, fewer by one call each. */
export const activityLookupsMax = 50;
/** Pairs of waiter and blocker in one document, those near the most blocking roots first. */
export const locksMax = 1_000;
/** Root blockers in one document, those who hold up the most first. */
export const lockRootsMax = 100;
/** Bytes of the pairs and roots of one document as JSON: with the envelope below 1 MB. */
export const locksBytesMax = 950_000;
/** Characters (UTF-16 units) of a statement, the mark of a cut included. */
export const lockStatementCharsMax = 500;

// Of the server's log.

/** Characters (UTF-16 units) of a message, detail, hint, context or statement, the mark of a cut included. */
export const logTextCharsMax = 8_192;
/** Characters of a name in a log entry: PostgreSQL's have 63 bytes, what forges them may have any number. */
export const logNameCharsMax = 256;
/** A record that has grown to so many bytes without an end is no longer held whole. Plans of auto_explain pass 1 MB. */
export const logRecordBytesMax = 4 * 1024 * 1024;
/** Bytes that are kept of each text of such a record: more than `logTextCharsMax` characters, each escaped. */
export const logGiantTextBytesMax = 64 * 1024;
/** Texts of such a record that are kept: jsonlog has 29 keys with a value each, csvlog 26 columns. */
export const logGiantTextsMax = 128;
/** Entries of stderr that wait for lines of theirs while other processes write in between; never fewer than half. */
export const logOpenEntriesMax = 32;
/** Processes whose user and database are remembered, to read lines of theirs that forge another. */
export const logSessionsMax = 1_000;
/** Conversions of local time that are remembered, ten minutes each. */
export const logLocalTimesMax = 1_000;
/** What is read of a log file at once: each read, and the look whether it still is the file, are a wait for a thread. */
export const logBlockBytes = 512 * 1024;
/**
 * And parsed at once: the entries of a piece are JSON before the next one is parsed. Of a whole block they would still be
 * there whenever garbage is collected, and moving them takes a third of the time that a log is read in.
 */
export const logPieceBytes = 32 * 1024;

// Of following logs.

/** Between two looks at the logs: new lines are noticed within a second. */
export const logPollMs = 700;
/** And while they are being written: what is truncated away unseen is what was written in this time. */
export const logActivePollMs = 200;
/** Reading lets the files be looked at after so long, whatever is left to read. */
export const logTurnMs = 200;
/** After so long the server is asked anew how it logs: a reload may have changed it. */
export const logSettingsMs = 5 * 60 * 1_000;
/** Of a file's beginning, what it is known again by. */
export const logHeadBytesMax = 1_024;
/** A file that was written longer ago holds no entry of which only a part is written yet. */
export const logRestMs = 50;
/** Blocks that are read of a log before the others have their turn: 4 MB, so 50 ms. */
export const logBlocksPerTurn = 8;
/** A deleted file is let go after so many reads in a row that brought nothing. */
export const logGoneReads = 10;
/** A file that has been silent for so many looks is closed: a minute. */
export const logQuietReads = 90;
/** From then on it is looked at in every so many-th look, unless it is among the few that were written last. */
export const logQuietLooks = 8;
/** These: one for each server of a machine that writes into the same folder. */
export const logWatchedFiles = 8;
/** The folder is listed while its time is not older than this: some file systems know but seconds, FAT two. */
export const logFolderTimeMs = 2_500;
/** And at least this often, for the times of the files that tell which of them are worth following. */
export const logListMs = 60_000;
/** After a rotation its files are searched in so many looks: a list that is made meanwhile may lack one. */
export const logSearchLooks = 3;
/** A sibling that may not be read is tried again in every so many-th look. */
export const logRetryLooks = 64;
/** Lists that have to lack a file before it counts as gone. */
export const logFindAttempts = 3;
/** Times that the file system gives are those of its last tick, and behind the clock. */
export const logClockSlackMs = 1_000;
/** Files that are followed at once, the most recently written first. */
export const logFilesMax = 64;
/** A file that lags so far behind another format of the same log is no longer written. */
export const logFormatStaleMs = 10 * 60 * 1_000;
/** Rotated files of one log that are considered, the most recently written: logrotate keeps some ten. */
export const logSiblingsMax = 48;
/** Heads of generations that were read to their end: those of the siblings, and the last ones that have gone. */
export const logGenerationsRemembered = 64;
/** From this share of the outbox's cap on, entries below WARNING are thinned out. */
export const logThinningFill = 0.5;
/** A document of entries is sent when it has so many entries or bytes of text, */
export const logBatchEntriesMax = 500;
export const logBatchBytesMax = 512 * 1024;
/** or after so long, sooner with an entry of a web request. */
export const logBatchMs = 10_000;
export const logBatchCorrelatedMs = 700;
/** Documents that are read ahead of what is stored, so that reading does not wait for the disk: 2.5 MB. */
export const logDocumentsAhead = 5;
