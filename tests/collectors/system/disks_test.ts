// Which lines of /proc/diskstats are counted, on many kinds of machine.
import assert from "node:assert/strict";
import { type DiskIo, readDiskIo } from "../../../collectors/system/disks.ts";

const path = "/p/diskstats";

/** A line as kernels print it: 14 columns before 4.18, 18 before 5.5, then 20. */
function line(
  name: string,
  counters: Partial<Record<"reads" | "writes" | "read" | "written", number | bigint>>,
): string {
  const { reads = 0, writes = 0, read = 0, written = 0 } = counters;
  return `   8       0 ${name} ${reads} 7 ${read} 9 ${writes} 11 ${written} 13 0 15 16 17 18 19 20 21 22\n`;
}

/** Lines of which each has read as many times 1 as its place says: the sum tells which were counted. */
function machine(...names: string[]): string {
  return names.map((name, index) => line(name, { reads: 2 ** index })).join("");
}

function io(text: string): DiskIo {
  const reading = readDiskIo(text, path);
  assert.equal(reading.kind, "read", JSON.stringify(reading));
  return (reading as typeof reading & { kind: "read" }).value;
}

function reason(text: string): string {
  const reading = readDiskIo(text, path);
  assert.equal(reading.kind, "unavailable", JSON.stringify(reading));
  return (reading as typeof reading & { kind: "unavailable" }).reason;
}

/** The names that were counted. */
function counted(...names: string[]): string[] {
  const sum = io(machine(...names)).read_count;
  return names.filter((_, index) => Math.floor(sum / 2 ** index) % 2 === 1);
}

Deno.test("readDiskIo adds operations completed and sectors of 512 bytes, of all disks", () => {
  const text = line("sda", { reads: 10, writes: 20, read: 100, written: 200 }) +
    line("sdb", { reads: 1, writes: 2, read: 3, written: 4 });
  const expected = { read_count: 11, write_count: 22, read_bytes: 103 * 512, write_bytes: 204 * 512 };
  assert.deepEqual(io(text), expected);
});

Deno.test("readDiskIo reads the columns of old kernels and of new ones alike", () => {
  const old = "   8       0 sda 10 7 100 9 20 11 200 13 0 15 16\n";
  const expected = { read_count: 10, write_count: 20, read_bytes: 51_200, write_bytes: 102_400 };
  assert.deepEqual(io(old), expected);
  assert.deepEqual(io(old.replace("\n", " 17 18 19 20\n")), expected);
  assert.deepEqual(io(old.replace("\n", " 17 18 19 20 21 22 23\n")), expected);
});

Deno.test("readDiskIo counts a disk and not its partitions, by the kernel's naming of them", () => {
  assert.deepEqual(counted("sda", "sda1", "sda2", "sda15"), ["sda"]);
  assert.deepEqual(counted("vda", "vda1", "vdb"), ["vda", "vdb"]);
  assert.deepEqual(counted("xvda", "xvda1", "hda", "hda1"), ["xvda", "hda"]);
  assert.deepEqual(counted("nvme0n1", "nvme0n1p1", "nvme0n1p15", "nvme1n1"), ["nvme0n1", "nvme1n1"]);
  assert.deepEqual(counted("nvme0n1", "nvme0n11", "nvme0n11p1"), ["nvme0n1", "nvme0n11"]);
  assert.deepEqual(counted("mmcblk0", "mmcblk0p1", "mmcblk0boot0", "mmcblk1"), ["mmcblk0", "mmcblk0boot0", "mmcblk1"]);
  assert.deepEqual(counted("dasda", "dasda1", "cciss!c0d0", "cciss!c0d0p1"), ["dasda", "cciss!c0d0"]);
  assert.deepEqual(counted("sda", "sda1", "sdaa", "sdaa1", "sdb"), ["sda", "sdaa", "sdb"]);
  assert.deepEqual(counted("nbd0", "nbd0p1", "rbd0", "rbd0p1", "pmem0", "pmem0p1"), ["nbd0", "rbd0", "pmem0"]);
});

Deno.test("readDiskIo counts a partition whose disk is not listed, as Xen gives them", () => {
  assert.deepEqual(counted("xvda1", "xvda2", "xvdb"), ["xvda1", "xvda2", "xvdb"]);
});

Deno.test("readDiskIo leaves out loop devices and disks in memory", () => {
  assert.deepEqual(counted("loop0", "loop1", "loop1p1", "ram0", "ram15", "zram0", "vda"), ["vda"]);
});

Deno.test("readDiskIo leaves out LVM, LUKS and multipath above their disks", () => {
  assert.deepEqual(counted("sda", "sda1", "dm-0", "dm-1", "dm-12"), ["sda"]);
  assert.deepEqual(counted("sda", "sdb", "dm-0"), ["sda", "sdb"]);
});

Deno.test("readDiskIo leaves out software RAID, its partitions and what else is built upon disks", () => {
  assert.deepEqual(counted("nvme0n1", "nvme0n1p2", "nvme1n1", "nvme1n1p2", "md127", "md0", "md0p1"), [
    "nvme0n1",
    "nvme1n1",
  ]);
  assert.deepEqual(counted("sda", "md_d0", "md_d0p1", "md_home", "bcache0", "bcache0p1", "drbd0", "zd16", "zd16p1"), [
    "sda",
  ]);
});

Deno.test("readDiskIo counts a device built upon others where no disk below it is in sight", () => {
  assert.deepEqual(counted("loop0", "dm-3"), ["dm-3"]);
  // Its disk stands still, so it is not the one below.
  assert.equal(io(line("sda", {}) + line("dm-3", { reads: 5 })).read_count, 5);
  assert.equal(io(line("dm-2", {}) + line("dm-3", { reads: 5 })).read_count, 5);
});

Deno.test("readDiskIo counts nothing where devices may be built upon one another and no disk is in sight", () => {
  assert.match(reason(machine("dm-0", "dm-1")), /^Cannot use \/p\/diskstats because it lists several of a kind/);
});

Deno.test("readDiskIo counts an NVMe drive of several paths once", () => {
  const paths = line("nvme0c0n1", { reads: 3 }) + line("nvme0c1n1", { reads: 4 });
  assert.equal(io(line("nvme0n1", { reads: 7 }) + paths).read_count, 7);
  // Older kernels count in the paths only.
  assert.equal(io(line("nvme0n1", {}) + paths).read_count, 7);
  assert.equal(io(paths).read_count, 7);
});

Deno.test("readDiskIo gives zeros for disks that nothing has used", () => {
  const zeros = { read_count: 0, write_count: 0, read_bytes: 0, write_bytes: 0 };
  assert.deepEqual(io(line("sda", {}) + line("dm-0", {})), zeros);
});

Deno.test("readDiskIo passes on counters that have wrapped, and sums beyond 2^53 without loss of their size", () => {
  assert.equal(io(line("sda", { read: 4_294_967_295 })).read_bytes, 4_294_967_295 * 512);
  assert.equal(io(line("sda", { read: 3 })).read_bytes, 1_536);
  const most = 2n ** 64n - 1n;
  assert.equal(io(line("sda", { read: most }) + line("sdb", { read: most })).read_bytes, 2 ** 74);
});

Deno.test("readDiskIo says why it cannot use a text", () => {
  for (const text of ["", "\n \n", machine("loop0", "ram0")]) {
    assert.equal(reason(text), "Cannot use /p/diskstats because it lists no disk");
  }
  const good = machine("sda");
  const form = (number: number) =>
    `Cannot use /p/diskstats because line ${number} is not in the form of /proc/diskstats`;
  assert.equal(reason("   8 0 sda 1 2 3\n"), form(1));
  assert.equal(reason(good + "   8 1 sda1 1 2 3 4\n"), form(2));
  assert.equal(reason(good + "\u0000\u0001 garbage"), form(2));
  assert.equal(reason(good.replace(" 1 7 ", " -1 7 ")), form(1));
  assert.equal(reason(good.replace(" 1 7 ", " 1e9 7 ")), form(1));
  assert.equal(reason(good.replace(" 1 7 ", " 123456789012345678901 7 ")), form(1));
});
