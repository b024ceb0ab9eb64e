// How connections come about when the other side does not want them: full, refused, silent. The clock stands still, so
// that the pause between attempts is the test's.
import assert from "node:assert/strict";
import { DatabaseError } from "../../collectors/database.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../tasks/demo/embedded_postgres.ts";
import { withClient } from "../../tasks/demo/client.ts";
import { rejects, rowsQuery } from "../contracts/database.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { openDatabase, secretPassword } from "../support/open_database.ts";
import { waitFor } from "../support/wait_for.ts";

let server: EmbeddedPostgres;

Deno.test.beforeAll(async () => {
  server = await startEmbeddedPostgres({
    version: 18,
    settings: { max_connections: "8", superuser_reserved_connections: "3", log_connections: "receipt" },
    hba: ["host all guarded 127.0.0.1/32 scram-sha-256"],
  });
  await server.query("create role ordinary login; create role guarded login password 'another'");
});

Deno.test.afterAll(async () => await server[Symbol.asyncDispose]());

/** Attempts that the server has seen since the last call. */
async function countAttempts(): Promise<number> {
  const count = (await Deno.readTextFile(server.logFile)).split("connection received").length - 1;
  const before = attemptsBefore;
  attemptsBefore = count;
  return count - before;
}
let attemptsBefore = 0;

/** Holds `count` sessions of an ordinary role while `use` runs. */
async function holding<T>(count: number, use: () => Promise<T>): Promise<T> {
  if (count === 0) return await use();
  const { host, port } = server;
  return await withClient({ host, port, user: "ordinary", database: "postgres" }, () => holding(count - 1, use));
}

/** Waits until the server has noticed that clients have gone. */
async function untilSessions(count: number): Promise<void> {
  await waitFor(`${count} sessions`, async () => {
    const [row] = await server.query("select count(*)::int from pg_stat_activity where usename = 'ordinary'");
    return row?.count === count;
  });
}

Deno.test("PostgresConnections says once that the server is full and once that it is not any more", async () => {
  const clock = new FakeClock();
  await using open = openDatabase(server, { user: "ordinary", clock });
  await holding(5, async () => {
    const error = await rejects(open.database.query(rowsQuery), "full");
    assert.equal(error.sqlstate, "53300");
    await clock.advance(30_000);
    await rejects(open.database.query(rowsQuery), "full");
    assert.deepEqual(open.log.events, ["database_unavailable"]);
  });
  await untilSessions(0);
  await clock.advance(30_000);
  assert.equal((await open.database.query(rowsQuery)).length, 2);
  assert.deepEqual(open.log.events, [
    "database_unavailable",
    "connection_slots_available",
    "connection_pool_verified",
  ]);
});

Deno.test("PostgresConnections makes do with the connection it has while the server is full, and grows again", async () => {
  const clock = new FakeClock();
  await using open = openDatabase(server, { user: "ordinary", clock });
  await open.database.server();
  const askThree = () => Promise.all([1, 2, 3].map(() => open.database.query({ text: "select pg_sleep(0.6)" })));
  await countAttempts();
  await holding(4, async () => {
    await countAttempts();
    await askThree();
    await askThree();
    assert.ok(await countAttempts() <= 2, "knocked again within the pause");
    assert.equal(open.database.status().connections, 1);
    assert.deepEqual(open.log.events, ["connection_pool_verified", "database_unavailable"]);
  });
  await untilSessions(1);
  await clock.advance(30_000);
  await askThree();
  assert.equal(open.database.status().connections, 3);
  assert.equal(open.log.events.at(-1), "connection_slots_available");
});

Deno.test("PostgresConnections says once that it is refused and knocks only after the pause, which grows", async () => {
  const clock = new FakeClock();
  await using open = openDatabase(server, { user: "guarded", clock });
  await countAttempts();
  const attempts: number[] = [];
  for (let second = 0; second < 120; second++) {
    const error = await rejects(open.database.query(rowsQuery), "refused");
    assert.equal(error.sqlstate, "28P01");
    if (await countAttempts() > 0) attempts.push(second);
    await clock.advance(1_000);
  }
  assert.deepEqual(attempts, [0, 1, 3, 7, 15, 31, 61, 91]);
  assert.deepEqual(open.log.events, ["database_unavailable"]);
  assert.ok(!open.log.text.includes(secretPassword));
});

Deno.test("PostgresConnections never tells the password, whatever fails", async () => {
  const { port } = server;
  const failures = [
    { user: "guarded" },
    { user: "nobody-at-all" },
    { name: "no_such_database" },
    { host: "127.0.0.1", port: port === 1 ? 2 : 1 },
    { host: "name.invalid" },
    { sslmode: "require" as const },
  ];
  for (const changes of failures) {
    await using open = openDatabase(server, changes);
    const error = await open.database.query(rowsQuery).then(() => null, (error: unknown) => error);
    assert.ok(error instanceof DatabaseError);
    const told = [Deno.inspect(error, { depth: 20, showHidden: true }), JSON.stringify(error), open.log.text].join();
    assert.ok(!told.includes(secretPassword), Object.keys(changes).join());
    assert.deepEqual(open.log.events, ["database_unavailable"]);
  }
});

Deno.test("PostgresConnections gives up on a server that takes the connection and never answers", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const connection of listener) accepted.push(connection);
  })();
  const { hostname, port } = listener.addr;
  for (const sslmode of ["disable", "prefer"] as const) {
    await using open = openDatabase({ host: hostname, port }, { sslmode, connectTimeoutMs: 100 });
    const startedMs = performance.now();
    await rejects(open.database.query(rowsQuery), "unreachable");
    assert.ok(performance.now() - startedMs < 4_000);
  }
  // A caller's signal ends the waiting sooner.
  await using open = openDatabase({ host: hostname, port }, { connectTimeoutMs: 60_000 });
  const controller = new AbortController();
  const question = open.database.query(rowsQuery, controller.signal);
  await waitFor("the connection", () => accepted.length === 3);
  controller.abort();
  await rejects(question, "cancelled");
  await open.database.close();
  for (const connection of accepted) connection.close();
  listener.close();
  await accepting;
});

Deno.test("PostgresConnections keeps silent of an attempt that fails when another has succeeded meanwhile", async () => {
  await using relay = new Relay(server);
  await using open = openDatabase(relay, { user: "ordinary" });
  await open.database.server();
  relay.holds = 1;
  const answers = Promise.allSettled([1, 2, 3].map(() => open.database.query({ text: "select pg_sleep(2)" })));
  await waitFor("a connection behind the one that is held", async () => {
    const [row] = await server.query("select count(*)::int from pg_stat_activity where query = 'select pg_sleep(2)'");
    return row?.count === 2;
  });
  relay.drop();
  assert.deepEqual((await answers).map(({ status }) => status).sort(), ["fulfilled", "fulfilled", "rejected"]);
  assert.equal((await open.database.query(rowsQuery)).length, 2);
  assert.deepEqual(open.log.events, ["connection_pool_verified"]);
});

Deno.test("PostgresConnections keeps the sessions that are left when one is ended", async () => {
  await using open = openDatabase(server, { user: "ordinary", sslmode: "prefer" });
  const pids = async () => {
    const text = "select pg_backend_pid() as pid, pg_sleep(0.6)::text";
    const answers = await Promise.all([1, 2].map(() => open.database.query({ text })));
    return answers.map(([row]) => Number(row?.pid));
  };
  const before = await pids();
  assert.equal(new Set(before).size, 2);
  await server.query(`select pg_terminate_backend(${before[0]})`);
  await waitFor("the loss", () => open.log.of("database_unavailable").length === 1);
  const after = await pids();
  assert.deepEqual([after.includes(before[0]!), after.includes(before[1]!)], [false, true]);
  assert.equal(open.log.events.at(-1), "connection_pool_verified");
});

Deno.test("PostgresConnections notices a session that is ended right behind an answer", async () => {
  await using relay = new Relay(server);
  await using open = openDatabase(relay, { user: "ordinary" });
  await open.database.server();
  relay.gathers = true;
  const answer = open.database.query({ text: "select 'the last answer' as text" });
  await waitFor("the end of the session", async () => {
    const ended = await server.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where query = 'select ''the last answer'' as text' and state = 'idle'`);
    return ended.length === 1;
  });
  assert.equal((await answer)[0]?.text, "the last answer");
  assert.deepEqual(open.log.events, ["connection_pool_verified", "database_unavailable"]);
  relay.gathers = false;
  await open.database.query(rowsQuery);
  assert.deepEqual(open.log.events.at(-1), "connection_pool_verified");
});

Deno.test("PostgresConnections answers quick questions one after the other over one connection", async () => {
  await using open = openDatabase(server, { user: "ordinary" });
  await Promise.all([1, 2, 3, 4, 5].map(() => open.database.query({ text: "select 1" })));
  assert.equal(open.database.status().connections, 1);
});

/** Passes connections on to a server. What it is told to hold waits until it is dropped. */
class Relay implements AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** How many of the next connections are not passed on. */
  holds = 0;
  /** Whether what the server says is passed on only when it has ended, in one piece. */
  gathers = false;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #held: Deno.Conn[] = [];
  readonly #passed: Promise<unknown>[] = [];
  readonly #accepting: Promise<void>;

  constructor(server: { host: string; port: number }) {
    this.host = this.#listener.addr.hostname;
    this.port = this.#listener.addr.port;
    this.#accepting = this.#accept(server);
  }

  /** Ends what is held. */
  drop(): void {
    for (const connection of this.#held.splice(0)) connection.close();
  }

  async #accept({ host: hostname, port }: { host: string; port: number }): Promise<void> {
    for await (const connection of this.#listener) {
      if (this.holds > 0) {
        this.holds -= 1;
        this.#held.push(connection);
        continue;
      }
      const server = await Deno.connect({ hostname, port });
      const both = [
        connection.readable.pipeTo(server.writable),
        server.readable.pipeThrough(this.#gather()).pipeTo(connection.writable),
      ];
      this.#passed.push(Promise.allSettled(both));
    }
  }

  #gather(): TransformStream<Uint8Array, Uint8Array<ArrayBuffer>> {
    const gathered: Uint8Array[] = [];
    return new TransformStream({
      transform: (chunk, controller) => {
        if (this.gathers) gathered.push(chunk);
        else controller.enqueue(new Uint8Array(chunk));
      },
      flush: (controller) => controller.enqueue(new Uint8Array(Buffer.concat(gathered))),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop();
    this.#listener.close();
    await this.#accepting;
    await Promise.all(this.#passed);
  }
}
