// What the checks of a row let through, and what they say of the rest.
import assert from "node:assert/strict";
import { readBoolean, readCount, readNumber, readText, readTime } from "../../collectors/row.ts";

const row = {
  text: "é",
  number: 1.5,
  count: 3,
  boolean: false,
  time: new Date("2026-01-02T03:04:05.678Z"),
  nothing: null,
  big: 2 ** 53,
  nan: NaN,
  badTime: new Date(NaN),
};

Deno.test("row readers return values of their type, and null where it may be", () => {
  assert.equal(readText(row, "text"), "é");
  assert.equal(readText(row, "nothing"), null);
  assert.equal(readNumber(row, "number"), 1.5);
  assert.equal(readNumber(row, "nothing"), null);
  assert.equal(readCount(row, "count"), 3);
  assert.equal(readBoolean(row, "boolean"), false);
  assert.equal(readTime(row, "time"), "2026-01-02T03:04:05.678Z");
  assert.equal(readTime(row, "nothing"), null);
});

Deno.test("row readers refuse other types, naming the column and not the value", () => {
  const cases = [
    [readText, "number", 'Cannot read column "number" because it must be a text: it is of type number'],
    [readNumber, "nan", 'Cannot read column "nan" because it must be a number: it is of type number'],
    [readNumber, "text", 'Cannot read column "text" because it must be a number: it is of type string'],
    [readCount, "big", 'Cannot read column "big" because it must be a whole number: it is of type number'],
    [readCount, "nothing", 'Cannot read column "nothing" because it must be a whole number: it is of type object'],
    [readBoolean, "nothing", 'Cannot read column "nothing" because it must be a boolean: it is of type object'],
    [readTime, "text", 'Cannot read column "text" because it must be a time: it is of type string'],
    [readTime, "badTime", 'Cannot read column "badTime" because it must be a time: it is of type object'],
  ] as const;
  for (const [read, column, message] of cases) {
    assert.throws(() => read(row, column), { name: "TypeError", message });
  }
});

Deno.test("row readers refuse a column that is not there, whatever the type", () => {
  for (const read of [readText, readNumber, readCount, readBoolean, readTime]) {
    assert.throws(() => read(row, "absent"), /"absent".*undefined/);
  }
});
