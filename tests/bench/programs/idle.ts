/**
 * What the agent's memory is measured against: a program with an open KV and a cron, and nothing to do.
 *
 * Usage: `idle.ts PATH`
 *
 * @module
 */

const kv = await Deno.openKv(Deno.args[0]);
await kv.set(["idle"], true);
Deno.cron("idle", "0 0 1 1 *", () => {});
console.log("idle");
