// Pressure stalls as kernels print them.
import assert from "node:assert/strict";
import { pressureFailure, pressurePath, pressureResources, readPressure } from "../../../collectors/system/pressure.ts";

const path = "/proc/pressure/io";
const some = "some avg10=3.85 avg60=4.46 avg300=3.00 total=40910731\n";
const full = "full avg10=0.00 avg60=0.01 avg300=100.00 total=0\n";

Deno.test("pressurePath names the three files that the agent may read", () => {
  const paths = ["/proc/pressure/cpu", "/proc/pressure/memory", "/proc/pressure/io"];
  assert.deepEqual(pressureResources.map(pressurePath), paths);
});

Deno.test("readPressure reads both lines", () => {
  assert.deepEqual(readPressure(some + full, path), {
    kind: "read",
    value: {
      some: { avg10: 3.85, avg60: 4.46, avg300: 3, total: 40_910_731 },
      full: { avg10: 0, avg60: 0.01, avg300: 100, total: 0 },
    },
  });
});

Deno.test("readPressure has no full line of the CPU on kernels that print none", () => {
  const reading = readPressure(some, path);
  assert.equal(reading.kind === "read" && reading.value.full, null);
});

Deno.test("readPressure says why it cannot use a text", () => {
  for (const text of ["", "garbage", full, some.replace("avg60=4.46 ", ""), some.replace("3.85", "-1"), "\u0000"]) {
    assert.deepEqual(readPressure(text, path), {
      kind: "unavailable",
      reason: "Cannot use /proc/pressure/io because it is not in the form of pressure stalls",
    });
  }
});

Deno.test("pressureFailure tells a kernel without pressure stalls from one where they are off or forbidden", () => {
  assert.match(pressureFailure(path, new Deno.errors.NotFound()), /this kernel has no pressure stall information/);
  assert.match(pressureFailure(path, new Error("Operation not supported (os error 95)")), /with psi=1$/);
  assert.match(pressureFailure(path, new Deno.errors.PermissionDenied("x")), /because the system forbids it$/);
});
