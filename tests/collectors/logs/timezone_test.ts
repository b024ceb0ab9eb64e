/**
 * Local times to UTC, at the hours where they are hard.
 *
 * @module
 */

import assert from "node:assert/strict";
import { epochToIso, TimeZone } from "../../../collectors/logs/timezone.ts";

const cases: [zone: string | null, time: string, abbreviation: string, iso: string | null][] = [
  [null, "2026-11-21 06:12:28", "UTC", "2026-11-21T06:12:28.226Z"],
  [null, "2026-11-21 06:12:28", "GMT", "2026-11-21T06:12:28.226Z"],
  [null, "2026-11-21 06:12:28", "+03", "2026-11-21T03:12:28.226Z"],
  [null, "2026-11-21 06:12:28", "-0330", "2026-11-21T09:42:28.226Z"],
  [null, "2026-01-01 00:30:00", "+0545", "2025-12-31T18:45:00.226Z"],
  [null, "2026-11-21 06:12:28", "CET", "2026-11-21T05:12:28.226Z"],
  [null, "2026-11-21 06:12:28", "IST", null],
  ["Asia/Kolkata", "2026-11-21 06:12:28", "IST", "2026-11-21T00:42:28.226Z"],
  ["Europe/Dublin", "2026-07-01 12:00:00", "IST", "2026-07-01T11:00:00.226Z"],
  ["Asia/Shanghai", "2026-07-01 12:00:00", "CST", "2026-07-01T04:00:00.226Z"],
  ["America/Chicago", "2026-12-01 12:00:00", "CST", "2026-12-01T18:00:00.226Z"],
  // Twice the same hour.
  ["Europe/Paris", "2026-10-25 02:30:00", "CEST", "2026-10-25T00:30:00.226Z"],
  ["Europe/Paris", "2026-10-25 02:30:00", "CET", "2026-10-25T01:30:00.226Z"],
  ["America/Chicago", "2026-11-01 01:30:00", "CDT", "2026-11-01T06:30:00.226Z"],
  ["America/Chicago", "2026-11-01 01:30:00", "CST", "2026-11-01T07:30:00.226Z"],
  ["Europe/London", "2026-10-25 01:30:00", "BST", "2026-10-25T00:30:00.226Z"],
  ["Europe/London", "2026-10-25 01:30:00", "GMT", "2026-10-25T01:30:00.226Z"],
  // An hour that was left out.
  ["Europe/Paris", "2026-03-29 02:30:00", "CET", "2026-03-29T01:30:00.226Z"],
  // The zone was another one when this was written.
  ["Europe/Paris", "2026-07-01 12:00:00", "EST", "2026-07-01T17:00:00.226Z"],
  [null, "2026-13-41 06:12:28", "UTC", null],
];

for (const [zone, time, abbreviation, iso] of cases) {
  Deno.test(`TimeZone ${zone}: ${time} ${abbreviation} is ${iso}`, () => {
    const timeZone = new TimeZone(zone);
    assert.equal(timeZone.toIso(`${time}.226 ${abbreviation}`), iso);
    assert.equal(timeZone.toIso(`${time}.226 ${abbreviation}`), iso);
  });
}

Deno.test("TimeZone refuses a name that is none", () => {
  assert.throws(() => new TimeZone("Europe/Bitville"), RangeError);
});

Deno.test("epochToIso reads %n", () => {
  assert.equal(epochToIso("1763705548.226"), "2025-11-21T06:12:28.226Z");
  assert.equal(epochToIso("9".repeat(30)), null);
});
