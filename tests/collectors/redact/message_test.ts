// Texts of the server's log without the values in them.
import assert from "node:assert/strict";
import fc from "fast-check";
import { redactMessage } from "../../../collectors/redact/message.ts";
import { cutMark } from "../../../collectors/text.ts";

const kept = [
  'relation "orders" does not exist',
  'column "emial" does not exist',
  'column "x1" of relation "orders_2024" does not exist',
  'duplicate key value violates unique constraint "users_email_key"',
  'insert or update on table "a" violates foreign key constraint "a_b_fkey"',
  'null value in column "name" of relation "users" violates not-null constraint',
  'new row for relation "t2" violates check constraint "t2_age_check"',
  "permission denied for table orders_2024",
  "must be owner of materialized view totals_1",
  'password authentication failed for user "app1"',
  'no pg_hba.conf entry for host "10.0.0.1", user "app", database "shop", no encryption',
  'unrecognized configuration parameter "app.user_id2"',
  'prepared statement "S_1" does not exist',
  "function f1(integer, character varying[]) does not exist",
  'missing FROM-clause entry for table "o1"',
  'column reference "id2" is ambiguous',
  "canceling statement due to statement timeout",
  "current transaction is aborted, commands ignored until end of transaction block",
  "value too long for type character varying(10)",
  "duration: 1.234 ms",
  "checkpoint complete: wrote 10 buffers (0.1%); 0 WAL file(s) added, 0 removed, 1 recycled; write=1.0 s, sync=0.1 s",
  'automatic vacuum of table "shop.public.orders": index scans: 1\npages: 0 removed, 5 remain',
  'temporary file: path "base/pgsql_tmp/pgsql_tmp4711.0", size 1048576',
  "connection authorized: user=app1 database=shop application_name=web",
  "process 12 still waiting for ShareLock on transaction 744 after 1000.123 ms",
  "process 12 acquired ExclusiveLock on tuple (0,5) of relation 16384 of database 5 after 1.5 ms",
  "Process holding the lock: 12. Wait queue: 13, 14.",
  "server process (PID 123) was terminated by signal 9: Killed",
  'could not open file "base/16384/2619": No such file or directory',
  'Perhaps you meant to reference the column "users.email2".',
  "PL/pgSQL function shop.f2(integer,text) line 3 at RAISE",
  'SQL function "f2" statement 1',
  "PL/pgSQL function f2() while casting return value to function's return type",
  "COPY orders_2024, line 3, column note2: null input",
  "could not send data to client: Broken pipe",
  "database system is ready to accept connections",
  "There is a row that can't be seen",
];

const replaced: readonly [message: string, redacted: string][] = [
  ["Key (email)=(a@b.c) already exists.", "Key (email)=(?) already exists."],
  ["Key (a, lower(b))=(1, x) y) already exists.", "Key (a, lower(b))=(?) already exists."],
  [`Key (id)=(sec) is not present in table "users".`, `Key (id)=(?) is not present in table "users".`],
  [`Key (id)=(5) is still referenced from table "orders".`, `Key (id)=(?) is still referenced from table "orders".`],
  ["Key (r)=([1,5)) conflicts with existing key (r)=([2,3)).", "Key (r)=(?)."],
  ["Key (name)=(a) b sec", "Key (name)=(?)"],
  ["Failing row contains (1, sec (x), null).", "Failing row contains (?)."],
  ["Failing row contains (1, sec) sec, se" + cutMark, "Failing row contains (?)" + cutMark],
  [
    "Partition key of the failing row contains (day) = (2024-01-01).",
    "Partition key of the failing row contains (day) = (?).",
  ],
  [`invalid input syntax for type integer: "sec"`, `invalid input syntax for type integer: "?"`],
  [`invalid input syntax for type json: "{"a": "sec"}"`, `invalid input syntax for type json: "?"`],
  [`invalid input value for enum mood: "sec"`, `invalid input value for enum mood: "?"`],
  [`invalid value for parameter "work_mem": "sec"`, `invalid value for parameter "work_mem": "?"`],
  [`syntax error at or near "sec" at character 15`, `syntax error at or near "?" at character 15`],
  [
    `unterminated quoted string at or near "'sec" at character 8`,
    `unterminated quoted string at or near "?" at character 8`,
  ],
  [`invalid input syntax for type integer: "sec` + cutMark, `invalid input syntax for type integer: "?` + cutMark],
  [`value "99999999999" is out of range for type integer`, `value "?" is out of range for type integer`],
  [`date/time field value out of range: "2024-13-01"`, `date/time field value out of range: "?"`],
  [`time zone "sec" not recognized`, `time zone "?" not recognized`],
  [
    `could not open file "/home/sec/x.csv" for reading: Permission denied`,
    `could not open file "?" for reading: Permission denied`,
  ],
  [`invalid byte sequence for encoding "UTF8": 0xc3 0x28`, `invalid byte sequence for encoding "UTF8": ? ?`],
  [`Token "sec" is invalid.`, `Token "?" is invalid.`],
  [`JSON data, line 1: {"a": sec`, "JSON data, line 1: ?"],
  [`COPY users, line 3, column email: "sec@b.c"`, "COPY users, line 3, column email: ?"],
  [`COPY users, line 3: "1\tsec"`, "COPY users, line 3: ?"],
  // Statements.
  ["statement: SELECT 'sec', 5", "statement: SELECT ?, ?"],
  ["duration: 1.2 ms  statement: SELECT 'sec'", "duration: 1.2 ms  statement: SELECT ?"],
  ["execute <unnamed>: SELECT $1, 'sec'", "execute <unnamed>: SELECT $1, ?"],
  ["duration: 0.1 ms  parse S_1: SELECT 'sec'", "duration: 0.1 ms  parse S_1: SELECT ?"],
  [
    "duration: 0.1 ms  execute fetch from S_1/C_2: SELECT 'sec'",
    "duration: 0.1 ms  execute fetch from S_1/C_2: SELECT ?",
  ],
  ["prepare: PREPARE p AS SELECT 'sec'", "prepare: PREPARE p AS SELECT ?"],
  ["Failed process was running: SELECT 'sec'", "Failed process was running: SELECT ?"],
  ["remote SQL command: SELECT a FROM t WHERE b = 'sec'", "remote SQL command: SELECT a FROM t WHERE b = ?"],
  ["statement: SELECT 'a\nProcess 1: sec\nPL/pgSQL function f() line 1 at sec'", "statement: SELECT ?"],
  // Parameters: quoted by the server, so a backslash is one.
  ["parameters: $1 = 'it''s', $2 = NULL, $3 = 'C:\\', $4 = '5'", "parameters: $1 = ?, $2 = NULL, $3 = ?, $4 = ?"],
  ["Parameters: $1 = 'sec", "Parameters: $1 = ?"],
  ["unnamed portal with parameters: $1 = 'sec'", "unnamed portal with parameters: $1 = ?"],
  [`portal "C_1" parameter $1 = 'sec'`, `portal "C_1" parameter $1 = ?`],
  // Contexts and deadlocks: one part for each.
  [
    `SQL statement "INSERT INTO t VALUES ('sec', "x")"\nPL/pgSQL function f() line 5 at SQL statement`,
    `SQL statement "INSERT INTO t VALUES (?, "x")"\nPL/pgSQL function f() line 5 at SQL statement`,
  ],
  [
    `PL/pgSQL function f() line 1 at IF\nSQL statement "SELECT 'sec`,
    `PL/pgSQL function f() line 1 at IF\nSQL statement "SELECT ?`,
  ],
  [
    `SQL statement "SELECT 'a\nPL/pgSQL function f() line 5 at SQL statement\nsec'"`,
    `SQL statement "SELECT ?\n?`,
  ],
  [
    "Process 1 waits for ShareLock on transaction 7; blocked by process 2.\n" +
    "Process 2 waits for ShareLock on transaction 8; blocked by process 1.\n" +
    "Process 1: UPDATE t SET a = 'sec\nProcess 2: UPDATE t\nSET a = 5",
    "Process 1 waits for ShareLock on transaction 7; blocked by process 2.\n" +
    "Process 2 waits for ShareLock on transaction 8; blocked by process 1.\n" +
    "Process 1: UPDATE t SET a = ?\nProcess 2: UPDATE t\nSET a = ?",
  ],
  // What functions raise themselves, and other languages.
  ["user 42 not found: bob@example.com, token=sec", "user ? not found: ?, ?"],
  [`no such user "sec" here`, `no such user "?`],
  ["order 'sec' (for sec) failed", "order '?"],
  [`user "sec" is locked`, `user "?" is locked`],
  [`user "sec" is locked` + cutMark, `user "?` + cutMark],
  ["waited 12 ms on line 5 of page 7", "waited 12 ms on line 5 of page ?"],
  ["Schlüssel »(email)=(sec)« existiert bereits.", "Schlüssel »?« existiert bereits."],
  ["ungültige Eingabesyntax für Typ integer: »sec«", "ungültige Eingabesyntax für Typ integer: »?«"],
  ["La clé « (email)=(sec) » existe déjà.", "La clé «?» existe déjà."],
  ["失敗した行は(1, sec)を含みます", "失敗した行は(?"],
  ["钥匙“sec”不存在", "钥匙“?”不存在"],
];

Deno.test("redactMessage keeps names, figures and the server's own words", () => {
  for (const message of kept) assert.equal(redactMessage(message), message);
});

Deno.test("redactMessage replaces values, and has no effect the second time", () => {
  for (const [message, redacted] of replaced) {
    assert.equal(redactMessage(message), redacted);
    assert.equal(redactMessage(redacted), redacted);
  }
});

Deno.test("redactMessage leaks nothing secret of a message that is cut", () => {
  for (const [message] of replaced.filter(([text]) => !/^no such|^order|^user/.test(text))) {
    const name = /^(.*?)sec/s.exec(message);
    for (let end = name === null ? message.length : name[0].length; end <= message.length; end++) {
      assert.doesNotMatch(redactMessage(message.slice(0, end)), /sec\b/, message.slice(0, end));
      assert.doesNotMatch(redactMessage(message.slice(0, end) + cutMark), /sec\b/);
    }
  }
});

Deno.test("redactMessage removes statements where they are not wanted, and keeps what surrounds them", () => {
  const removed = (message: string) => redactMessage(message, { statements: "removed" });
  assert.equal(removed("duration: 1.2 ms  statement: SELECT a"), "duration: 1.2 ms  statement: ?");
  assert.equal(removed('SQL statement "SELECT a"'), 'SQL statement "?"');
  assert.equal(removed("duration: 1.2 ms  plan:\nQuery Text: SELECT a"), "duration: 1.2 ms  plan:\n?");
  assert.equal(removed('relation "a" does not exist'), 'relation "a" does not exist');
});

Deno.test("redactMessage replaces any value that a message of PostgreSQL quotes, whatever is in it", () => {
  const forms: ((value: string) => string)[] = [
    (value) => `invalid input syntax for type integer: "${value}"`,
    (value) => `syntax error at or near "${value}"`,
    (value) => `Key (a)=(${value}) already exists.`,
    (value) => `Failing row contains (1, ${value}).`,
    (value) => `COPY t, line 1, column a: "${value}"`,
    (value) => `parameters: $1 = '${value.replaceAll("'", "''")}'`,
    (value) => `statement: SELECT $q$${value.replaceAll("$", "")}$q$`,
    (value) => `Ungültiger Wert »${value}«`,
  ];
  const part = fc.constantFrom(
    "zz",
    " ",
    '"',
    "'",
    "(",
    ")",
    "\n",
    "\\",
    "»",
    ": ",
    "=",
    ".",
    "Key ",
    "statement: ",
    "zz already exists.",
    'relation "',
  );
  const value = fc.array(part, { maxLength: 8 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(value, fc.constantFrom(...forms), fc.nat(), (text, form, cut) => {
      const message = form(`zz${text}zz`);
      assert.doesNotMatch(redactMessage(message), /zz/, message);
      assert.doesNotMatch(redactMessage(message.slice(0, message.indexOf("zz") + cut % message.length)), /zz/);
    }),
    { numRuns: 3_000 },
  );
});

Deno.test("redactMessage comes to an end with a long text of whatever opens, closes or repeats", () => {
  const units = [
    '"',
    "'a",
    "(",
    ")",
    "»",
    'relation "',
    "1 ",
    "\nProcess 1: ",
    "Key (",
    "=(",
    "a.",
    "1.",
    ".",
    "?",
    "<",
    '"\\',
  ];
  const traps = [
    "parameter ",
    ", line 1, column a",
    " during a",
    " while a",
    " line 1 at a",
    ') is not present in table "',
    " rows=1",
  ];
  const starts = [
    "",
    "Key (",
    "duration: 1.0 ms  plan:\n",
    "duration: 1.0 ms  plan:\n{",
    "Process 1: ",
    'SQL statement "',
    "COPY a",
  ];
  const ends = ["", "!", "\n\n"];
  const texts = [...units, ...traps].map((unit) => unit.repeat(Math.ceil(200_000 / unit.length)));
  for (const start of [...starts, "PL/pgSQL function f()", "1", "duration: 1.0 ms  plan:\n(cost=1"]) {
    for (const text of texts) {
      for (const end of ends) assert.ok(redactMessage(start + text + end).length <= 2 * text.length);
    }
  }
});
