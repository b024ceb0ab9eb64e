// The space of file systems, each once, and those that do not answer.
import assert from "node:assert/strict";
import { FileSystemReader } from "../../../collectors/system/file_systems.ts";
import type { FileSystemSpace } from "../../../collectors/system/machine.ts";
import { FakeClock } from "../../fakes/fake_clock.ts";
import { MemoryMachine, space } from "../../fakes/memory_machine.ts";

const { signal } = new AbortController();
const nothing = { total: null, free: null, available: null, used: null, percent: null };

function setup(fileSystems: Record<string, FileSystemSpace | Error | Promise<FileSystemSpace>>) {
  const machine = new MemoryMachine();
  for (const [path, answer] of Object.entries(fileSystems)) machine.fileSystems.set(path, answer);
  const clock = new FakeClock();
  return { machine, clock, reader: new FileSystemReader({ machine, clock, answerMs: 2_000 }) };
}

Deno.test("FileSystemReader gives bytes and inodes, and a percentage as df does", async () => {
  const { reader } = setup({ "/a": space() });
  assert.deepEqual(await reader.read(["/a"], signal), {
    elements: [{
      path: "/a",
      total: 409_600,
      free: 204_800,
      available: 163_840,
      used: 204_800,
      percent: 55.56,
      files_total: 1_000,
      files_free: 900,
    }],
    unavailable: {},
  });
});

Deno.test("FileSystemReader names a file system once, by the first path on it", async () => {
  const { reader } = setup({ "/a": space({ device: 7 }), "/b": space({ device: 7 }), "/c": space({ device: 8 }) });
  const paths = async (...watched: string[]) => (await reader.read(watched, signal)).elements.map(({ path }) => path);
  assert.deepEqual(await paths("/a", "/b", "/c"), ["/a", "/c"]);
  assert.deepEqual(await paths("/b", "/a", "/b"), ["/b"]);
  assert.deepEqual(await paths(), []);
});

Deno.test("FileSystemReader keeps an element for what cannot be read, and says why", async () => {
  const denied = Object.assign(new Error("x"), { code: "EACCES" });
  const { reader } = setup({ "/a": new Deno.errors.NotCapable("x"), "/b": space(), "/d": denied });
  const { elements, unavailable } = await reader.read(["/a", "/b", "/c", "/d"], signal);
  assert.deepEqual(elements.map(({ path }) => path), ["/a", "/b", "/c", "/d"]);
  assert.deepEqual(elements[0], { path: "/a", ...nothing, files_total: null, files_free: null });
  assert.deepEqual(unavailable, {
    "0": "Cannot read /a because the agent's permissions do not cover it",
    "2": "Cannot read /c because it does not exist",
    "3": "Cannot read /d because the system forbids it",
  });
});

Deno.test("FileSystemReader has no inodes where there is no number of them, and no percentage of nothing", async () => {
  const empty = { device: 2, blocks: 0n, blocksFree: 0n, blocksAvailable: 0n };
  const { reader } = setup({ "/btrfs": space({ files: 0n, filesFree: 0n }), "/proc": space(empty) });
  const { elements, unavailable } = await reader.read(["/btrfs", "/proc"], signal);
  assert.deepEqual([elements[0]?.files_total, elements[0]?.files_free, elements[0]?.percent], [null, null, 55.56]);
  assert.deepEqual([elements[1]?.total, elements[1]?.percent], [0, null]);
  assert.deepEqual(Object.keys(unavailable), ["0.files_total", "0.files_free", "1.percent"]);
});

Deno.test("FileSystemReader gives a full file system 100 percent", async () => {
  const { reader } = setup({ "/a": space({ blocksFree: 10n, blocksAvailable: 0n }) });
  const { elements } = await reader.read(["/a"], signal);
  assert.deepEqual([elements[0]?.percent, elements[0]?.free, elements[0]?.available], [100, 40_960, 0]);
});

Deno.test("FileSystemReader goes on without a file system that does not answer and asks it again once it has", async () => {
  const hung = Promise.withResolvers<FileSystemSpace>();
  const { machine, clock, reader } = setup({ "/hung": hung.promise, "/a": space() });
  const first = reader.read(["/hung", "/a"], signal);
  await clock.advance(2_000);
  assert.match(
    (await first).unavailable["0"] ?? "",
    /^Cannot read \/hung because its .* did not answer within 2000 ms$/,
  );
  assert.equal((await first).elements[1]?.total, 409_600);

  const second = await reader.read(["/hung"], signal);
  assert.match(second.unavailable["0"] ?? "", /has not answered since an earlier run$/);
  assert.deepEqual(machine.asked, ["/hung", "/a"]);
  assert.equal(clock.sleepers, 0);

  hung.resolve(space({ device: 9 }));
  await clock.advance(0);
  assert.deepEqual((await reader.read(["/hung"], signal)).unavailable, {});
});

Deno.test("FileSystemReader ends at once when its run is cut off", async () => {
  const { reader } = setup({ "/hung": new Promise<FileSystemSpace>(() => {}) });
  const controller = new AbortController();
  const reading = reader.read(["/hung"], controller.signal);
  controller.abort();
  await reading;
});
