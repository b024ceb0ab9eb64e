// The agent's own log lines: their form, their level, what they must not interpret.
import assert from "node:assert/strict";
import { createLog, errorMessage } from "../log.ts";

function capture(level: "debug" | "info" | "warning" | "error", write: (log: ReturnType<typeof createLog>) => void) {
  const lines: string[] = [];
  write(createLog({ level, write: (line) => lines.push(line) }));
  return lines.map((line) => {
    assert(line.endsWith("\n"));
    return JSON.parse(line);
  });
}

Deno.test("createLog writes one JSON object a line, with time, level, event and fields", () => {
  const [line] = capture("info", (log) => log.info("agent_starting", { version: "1", text: 'a "line"\nbreak' }));
  assert(!Number.isNaN(Date.parse(line.time)));
  const { time: _, ...rest } = line;
  assert.deepEqual(rest, { level: "info", event: "agent_starting", version: "1", text: 'a "line"\nbreak' });
});

Deno.test("createLog leaves out what is below its level", () => {
  const lines = capture("warning", (log) => {
    log.debug("a");
    log.info("b");
    log.warning("c");
    log.error("d");
  });
  assert.deepEqual(lines.map(({ level, event }) => [level, event]), [["warning", "c"], ["error", "d"]]);
});

Deno.test("createLog does not read placeholders into an event's name or its fields", () => {
  const [line] = capture("info", (log) => log.info("event {secret} {*}", { secret: "s" }));
  assert.equal(line.event, "event {secret} {*}");
});

Deno.test("errorMessage tells the cause once", () => {
  assert.equal(errorMessage(new Error("outer", { cause: new Error("inner") })), "outer: inner");
  assert.equal(errorMessage(new Error("outer: inner", { cause: new Error("inner") })), "outer: inner");
  assert.equal(errorMessage("text"), "text");
});
