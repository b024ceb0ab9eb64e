// The way to systemd, over real datagram sockets.
import assert from "node:assert/strict";
import { join } from "node:path";
import { notifySockets, openServiceManager, watchdogMs } from "../../tasks/notify.ts";
import { ManagerSocket } from "../support/manager_socket.ts";
import { MemoryLog } from "../support/memory_log.ts";

Deno.test("notifySockets answers null unless systemd has named its socket and a folder for the agent's", () => {
  const of = (environment: Record<string, string>) => notifySockets((name) => environment[name]);
  const [NOTIFY_SOCKET, RUNTIME_DIRECTORY] = ["/run/systemd/notify", "/run/agent"];
  assert.deepEqual(of({ NOTIFY_SOCKET, RUNTIME_DIRECTORY }), { manager: NOTIFY_SOCKET, own: "/run/agent/notify" });
  assert.equal(of({ NOTIFY_SOCKET, RUNTIME_DIRECTORY: "/run/a:/run/b" })?.own, "/run/a/notify");
  for (const environment of [{}, { NOTIFY_SOCKET }, { RUNTIME_DIRECTORY }]) assert.equal(of(environment), null);
  assert.equal(of({ NOTIFY_SOCKET: "@abstract", RUNTIME_DIRECTORY }), null);
});

Deno.test("watchdogMs reads microseconds, and nothing out of anything else", () => {
  assert.equal(watchdogMs(() => "60000000"), 60_000);
  for (const text of [undefined, "", "0", "-1", "soon"]) assert.equal(watchdogMs(() => text), null);
});

Deno.test("openServiceManager sends each message as one datagram, also after a process that left its socket", async () => {
  await using manager = await ManagerSocket.open();
  const sockets = { manager: manager.path, own: join(manager.folder, "own") };
  const log = new MemoryLog();
  const killed = await openServiceManager(sockets, log);
  const after = await openServiceManager(sockets, log);
  await after.notify(["READY=1", "STATUS=one line"]);
  assert.deepEqual(await manager.next(), ["READY=1", "STATUS=one line"]);
  for (const one of [killed, after]) one.close();
  assert.deepEqual(log.entries, []);
});

Deno.test("ServiceManager.notify says once that nobody hears it, and does not throw", async () => {
  const manager = await ManagerSocket.open();
  const log = new MemoryLog();
  const own = await Deno.makeTempDir();
  const service = await openServiceManager({ manager: manager.path, own: join(own, "own") }, log);
  await manager[Symbol.asyncDispose]();
  for (let beat = 0; beat < 3; beat++) await service.notify(["WATCHDOG=1"]);
  service.close();
  await Deno.remove(own, { recursive: true });
  assert.deepEqual(log.events, ["service_manager_unreachable"]);
});
