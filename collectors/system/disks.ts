/**
 * What the machine has read and written, from `/proc/diskstats` alone: `/sys`, which knows what is a disk and what is
 * built upon which, is closed to the agent. The rule by names is told in docs/documents/system_metrics.md.
 *
 * @module
 */

import {
  addCounters,
  countedOnce,
  isUsed,
  type Layer,
  parseCounters,
  read,
  type Reading,
  unavailable,
} from "./reading.ts";

/** Since boot, of all disks together. An operation that the kernel merged into another is not counted again. */
export interface DiskIo {
  read_count: number;
  write_count: number;
  read_bytes: number;
  write_bytes: number;
}

/** Whatever the device's own blocks are: Documentation/admin-guide/iostats.rst. */
const sectorBytes = 512n;
const nameColumn = 2;
/** Reads completed, writes completed, sectors read, sectors written. */
const counterColumns = [3, 7, 5, 9];

/** In memory, or in files of file systems whose disks count what is written to them. */
const neverCounted = /^(?:loop|ram|zram)\d+$/;
/** Device mapper (LVM, LUKS, multipath), software RAID, and others whose every operation reaches a disk below. */
const builtUpon = /^(?:dm-\d+|md(?:\d+|_.+)|bcache\d+|drbd\d+|zd\d+)$/;
/** One way to a drive that has several, in the kernel's own multipath; the drive is without the `c` and its number. */
const nvmePath = /^(nvme\d+)c\d+(n\d+)$/;

interface Disk {
  name: string;
  counters: bigint[];
  layer: Layer;
}

/** Adds up the disks of a text of `/proc/diskstats`. `path` is where it came from, for the reason. */
export function readDiskIo(text: string, path: string): Reading<DiskIo> {
  const disks = new Map<string, Omit<Disk, "layer">>();
  for (const [index, line] of text.split("\n").entries()) {
    const columns = line.trim().split(/\s+/);
    if (columns.length === 1 && columns[0] === "") continue;
    const name = columns[nameColumn];
    const counters = parseCounters(columns, counterColumns);
    if (name === undefined || counters === null) {
      return unavailable(`Cannot use ${path} because line ${index + 1} is not in the form of /proc/diskstats`);
    }
    disks.set(name, { name, counters });
  }
  const counted = countedOnce([...disks.values()].map((disk) => ({ ...disk, layer: layerOf(disk.name, disks) })), {
    path,
    of: "disk",
  });
  if (counted.kind === "unavailable") return counted;
  const [reads, writes, sectorsRead, sectorsWritten] = addCounters(counted.value.map(inBytes));
  return read({
    read_count: reads!,
    write_count: writes!,
    read_bytes: sectorsRead!,
    write_bytes: sectorsWritten!,
  });
}

function inBytes({ counters }: Disk): { counters: bigint[] } {
  const [reads, writes, sectorsRead, sectorsWritten] = counters as [bigint, bigint, bigint, bigint];
  return { counters: [reads, writes, sectorsRead * sectorBytes, sectorsWritten * sectorBytes] };
}

function layerOf(name: string, disks: ReadonlyMap<string, { counters: bigint[] }>): Layer {
  if (neverCounted.test(name) || isPartition(name, disks) || isCountedPath(name, disks)) return "never";
  return builtUpon.test(name) ? "upon" : "own";
}

/**
 * The kernel names a partition after its disk and a number, with a `p` between where the disk's name ends in a digit.
 * Without such a disk in the list it is a disk of its own: Xen gives machines an `xvda1` and no `xvda`.
 */
function isPartition(name: string, disks: ReadonlyMap<string, unknown>): boolean {
  const [, plain] = /^(.*\D)\d+$/.exec(name) ?? [];
  if (plain === undefined) return false;
  const [, numbered] = /^(.*\d)p$/.exec(plain) ?? [];
  return disks.has(numbered ?? plain);
}

/** Older kernels count only in the paths and newer ones in the drive as well, so the drive counts if it does count. */
function isCountedPath(name: string, disks: ReadonlyMap<string, { counters: bigint[] }>): boolean {
  const [, controller, namespace] = nvmePath.exec(name) ?? [];
  const drive = disks.get(`${controller}${namespace}`);
  return drive !== undefined && isUsed(drive.counters);
}
