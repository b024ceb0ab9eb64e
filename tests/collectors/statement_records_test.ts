// The text of a composite value, as PostgreSQL writes it.
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  addRecord,
  isoTime,
  type Layout,
  parseRecord,
  readHead,
  readValues,
  textKeyOf,
} from "../../collectors/statement_records.ts";
import { sharedPostgres } from "../support/shared_postgres.ts";

const postgres = sharedPostgres();

const layout: Layout = {
  columns: [
    { name: "userid", kind: "number", cumulative: false },
    { name: "dbid", kind: "number", cumulative: false },
    { name: "toplevel", kind: "boolean", cumulative: false },
    { name: "queryid", kind: "text", cumulative: false },
    { name: "total_exec_time", kind: "number", cumulative: true },
    { name: "stats_since", kind: "time", cumulative: false },
    { name: "calls", kind: "number", cumulative: true },
    { name: "min_exec_time", kind: "number", cumulative: false },
    { name: "minmax_stats_since", kind: "time", cumulative: false },
  ],
  keyColumns: 4,
  timeColumn: "total_exec_time",
  hasStatsSince: true,
};
const record = "(10,5,t,-9223372036854775808,1.25,1763705308.517704,7,,)";

/** As record_out of PostgreSQL does: quotes and backslashes doubled, in quotes where there is need. */
function write(fields: readonly (string | null)[]): string {
  const written = fields.map((field) => {
    if (field === null) return "";
    if (field !== "" && !/["\\(),\s]/.test(field)) return field;
    return `"${field.replace(/["\\]/g, "$&$&")}"`;
  });
  return `(${written.join(",")})`;
}

const fields = fc.array(
  fc.option(fc.oneof(
    fc.string({ unit: fc.constantFrom('"', "\\", "(", ")", ",", " ", "\n", "a", "é", "😀") }),
    fc.string({ unit: "grapheme" }),
    fc.double().map(String),
  )),
  { minLength: 1, maxLength: 60 },
);

Deno.test("parseRecord reads what was written, whatever is in it", () => {
  fc.assert(fc.property(fields, (given) => assert.deepEqual(parseRecord(write(given)), given)));
});

Deno.test("parseRecord reads what PostgreSQL writes", async () => {
  const samples = fc.sample(fields, 200).map((given) => given.map((field) => field?.replaceAll("\0", "") ?? null));
  const columns = Array.from({ length: 60 }, (_, index) => `sample ->> ${index}`).join(", ");
  const rows = await postgres().query(
    `select row(${columns})::text as record from json_array_elements($1) with ordinality as s(sample, n) order by n`,
    { values: [JSON.stringify(samples)] },
  );
  for (const [index, given] of samples.entries()) {
    const padded = [...given, ...Array(60 - given.length).fill(null)];
    assert.deepEqual(parseRecord(rows[index]!.record as string), padded);
  }
});

Deno.test("parseRecord refuses what is no record, without its content", () => {
  for (const text of ["", "secret", "(secret", '("secret)', '("secret"x,)']) {
    assert.throws(() => parseRecord(text), (error: Error) => {
      assert.match(error.message, /^Cannot read a record because/);
      return !error.message.includes("secret");
    });
  }
});

Deno.test("readHead reads the beginning alone", () => {
  assert.deepEqual(readHead(record, layout), {
    key: "10,5,t,-9223372036854775808",
    totalMs: 1.25,
    statsSince: "1763705308.517704",
  });
  assert.equal(textKeyOf("10,5,t,-9223372036854775808"), "10,5,-9223372036854775808");
  assert.equal(textKeyOf("10,5,7"), "10,5,7");
  assert.equal(readHead("(10,5,t,,1.25,1,7,,)", layout).key, "10,5,t,");
});

Deno.test("readValues gives every column its type", () => {
  assert.deepEqual(readValues(record, layout), {
    userid: 10,
    dbid: 5,
    toplevel: true,
    queryid: "-9223372036854775808",
    total_exec_time: 1.25,
    stats_since: "2025-11-21T06:08:28.517Z",
    calls: 7,
    min_exec_time: 0,
    minmax_stats_since: "2025-11-21T06:08:28.517Z",
  });
  assert.throws(() => readValues("(1,2)", layout), /must have 9 columns: it has 2/);
});

Deno.test("readValues makes one of entries that share a key", () => {
  const records = new Map<string, string>();
  addRecord(records, "key", "(10,5,t,1,1.25,1,7,0.1,)");
  addRecord(records, "key", "(10,5,t,1,2.5,1,2,0.05,)");
  const { total_exec_time, calls, min_exec_time } = readValues(records.get("key")!, layout);
  assert.deepEqual({ total_exec_time, calls, min_exec_time }, { total_exec_time: 3.75, calls: 9, min_exec_time: 0.05 });
  assert.equal(readHead(records.get("key")!, layout).totalMs, 3.75);
});

Deno.test("isoTime cuts to milliseconds, and knows no infinity", () => {
  assert.equal(isoTime("1763705308.517704"), "2025-11-21T06:08:28.517Z");
  assert.equal(isoTime("1763705308.517"), "2025-11-21T06:08:28.517Z");
  assert.equal(isoTime("-Infinity"), null);
  assert.equal(isoTime(null), null);
});
