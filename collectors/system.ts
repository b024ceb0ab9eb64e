/**
 * The machine that the agent runs on: CPU, memory, disks, network, pressure, and the space of the file systems that
 * matter to the agent and the server. What cannot be read is null and has its reason in the same document.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import * as limits from "../limits.ts";
import type { Log } from "../log.ts";
import type { CollectContext, Collection, Collector } from "./collector.ts";
import { type Restraint, unrestrained } from "./restraint.ts";
import { CpuMeter } from "./system/cpu.ts";
import { denoMachine } from "./system/deno_machine.ts";
import { readDiskIo } from "./system/disks.ts";
import { FileSystemReader } from "./system/file_systems.ts";
import { readNetworkIo } from "./system/interfaces.ts";
import type { CpuTimes, Machine } from "./system/machine.ts";
import {
  type Pressure,
  pressureFailure,
  pressurePath,
  type PressureResource,
  pressureResources,
  readPressure,
} from "./system/pressure.ts";
import { failureReason, isNotFound, read, type Reading, round, unavailable } from "./system/reading.ts";

/** What the collector is made of. */
export interface SystemCollectorOptions {
  /** Where `diskstats` and `net/dev` of the machine's /proc are mounted, or the whole of it. */
  procfsPath: string;
  /** Paths whose file systems are watched. An empty one is none. */
  filesystems: readonly string[];
  clock: Pick<Clock, "monotonicMs" | "sleep">;
  log: Log;
  restraint?: Restraint;
  machine?: Machine;
  procFileBytesMax?: number;
  fileSystemAnswerMs?: number;
}

/** Why fields are null, by their dotted names. */
type Unavailable = Record<string, string>;

/** Reads the machine's figures (docs/documents/system_metrics.md). */
export class SystemCollector implements Collector {
  readonly name = "system_metrics";
  readonly #machine: Machine;
  readonly #procfsPath: string;
  readonly #filesystems: readonly string[];
  readonly #log: Log;
  readonly #restraint: Restraint;
  readonly #meter: CpuMeter;
  readonly #fileSystemReader: FileSystemReader;
  readonly #procFileBytesMax: number;
  #loggedFields = "";

  constructor(options: SystemCollectorOptions) {
    const { machine = denoMachine, clock } = options;
    this.#machine = machine;
    this.#procfsPath = options.procfsPath.replace(/(.)\/+$/, "$1");
    this.#filesystems = options.filesystems.filter((path) => path !== "");
    this.#log = options.log;
    this.#restraint = options.restraint ?? unrestrained;
    this.#meter = new CpuMeter(clock);
    this.#procFileBytesMax = options.procFileBytesMax ?? limits.procFileBytesMax;
    const answerMs = options.fileSystemAnswerMs ?? limits.fileSystemAnswerMs;
    this.#fileSystemReader = new FileSystemReader({ machine, clock, answerMs });
  }

  async collect({ signal }: CollectContext): Promise<Collection> {
    signal.throwIfAborted();
    const missing: Unavailable = {};
    const fileSystems = await this.#fileSystemReader.read(this.#filesystems, signal);
    signal.throwIfAborted();
    const pressure = this.#readPressure(missing);
    this.#restraint.seePressure(pressure.cpu?.some.avg10 ?? 0);
    for (const [field, reason] of Object.entries(fileSystems.unavailable)) missing[`filesystems.${field}`] = reason;
    const data = {
      cpu: this.#readCpu(missing),
      memory: take(missing, "memory", this.#readMemory()),
      disk_io: take(missing, "disk_io", this.#readDiskIo()),
      network_io: take(missing, "network_io", this.#readNetworkIo()),
      pressure,
      filesystems: fileSystems.elements,
      unavailable: missing,
    };
    this.#logChange(missing);
    return { kind: "samples", data, rows: 1 };
  }

  #readCpu(missing: Unavailable) {
    const cpus = attempt("the times of the CPUs", () => this.#machine.cpus());
    const seen = cpus.kind === "read" && cpus.value.length === 0
      ? unavailable("Cannot read the times of the CPUs because the kernel lists none")
      : cpus;
    const percent: Reading<number> = seen.kind === "read" ? this.#meter.percent(seen.value) : seen;
    return {
      percent: take(missing, "cpu.percent", percent),
      count: take<CpuTimes[]>(missing, "cpu.count", seen)?.length ?? null,
      load_average: take(missing, "cpu.load_average", this.#readLoadAverage()),
    };
  }

  #readLoadAverage(): Reading<number[]> {
    const reading = attempt("the load average", () => this.#machine.loadAverage());
    return reading.kind === "read" ? read(reading.value.map(round)) : reading;
  }

  #readMemory() {
    const reading = attempt("the machine's memory", () => this.#machine.memory());
    if (reading.kind === "unavailable") return reading;
    const { total, available } = reading.value;
    // Zero is what Deno gives where the kernel gives nothing.
    if (!(total > 0) || !(available > 0)) {
      return unavailable("Cannot read the machine's memory because the kernel does not say how much is available");
    }
    const used = Math.max(0, total - available);
    return read({ total, available, used, percent: round(100 * used / total) });
  }

  #readDiskIo() {
    const path = `${this.#procfsPath}/diskstats`;
    try {
      return readDiskIo(this.#machine.readTextFile(path, this.#procFileBytesMax), path);
    } catch (error) {
      return unavailable(mountReason(path, { error, source: "/proc/diskstats" }));
    }
  }

  /**
   * Where the whole of a machine's /proc is mounted in a container, `net` in it is a link to the reader's own network:
   * that of process 1 is the machine's.
   */
  #readNetworkIo() {
    const ofMachine = this.#readNetworkFile(`${this.#procfsPath}/1/net/dev`);
    return ofMachine ?? this.#readNetworkFile(`${this.#procfsPath}/net/dev`) ??
      unavailable(mountReason(`${this.#procfsPath}/net/dev`, {
        error: new Deno.errors.NotFound(),
        source: "/proc/1/net/dev",
      }));
  }

  /** Null when there is no such file. */
  #readNetworkFile(path: string) {
    try {
      return readNetworkIo(this.#machine.readTextFile(path, this.#procFileBytesMax), path);
    } catch (error) {
      return isNotFound(error) ? null : unavailable(mountReason(path, { error, source: "/proc/1/net/dev" }));
    }
  }

  #readPressure(missing: Unavailable): Record<PressureResource, Pressure | null> {
    const pressure: Record<PressureResource, Pressure | null> = { cpu: null, memory: null, io: null };
    for (const resource of pressureResources) {
      const field = `pressure.${resource}`;
      pressure[resource] = take(missing, field, this.#readPressureFile(pressurePath(resource)));
      if (pressure[resource]?.full === null) missing[`${field}.full`] = "This kernel does not count it";
    }
    return pressure;
  }

  #readPressureFile(path: string): Reading<Pressure> {
    try {
      return readPressure(this.#machine.readTextFile(path, this.#procFileBytesMax), path);
    } catch (error) {
      return unavailable(pressureFailure(path, error));
    }
  }

  /** Says what is missing when that changes; that the first run has no percentage is nothing to say. */
  #logChange(missing: Unavailable): void {
    const { "cpu.percent": _, ...lasting } = missing;
    const fields = Object.keys(lasting).sort().join(" ");
    if (fields === this.#loggedFields) return;
    this.#loggedFields = fields;
    this.#log.info("system_metrics_unavailable", { unavailable: lasting });
  }
}

/** The value, or null and its reason under the field's name. */
function take<T>(missing: Unavailable, field: string, reading: Reading<T>): T | null {
  if (reading.kind === "read") return reading.value;
  missing[field] = reading.reason;
  return null;
}

function attempt<T>(what: string, ask: () => T): Reading<T> {
  try {
    return read(ask());
  } catch (error) {
    return unavailable(failureReason(what, error));
  }
}

function mountReason(path: string, failure: { error: unknown; source: string }): string {
  const hint = isNotFound(failure.error) ? `: mount ${failure.source} there` : "";
  return failureReason(path, failure.error) + hint;
}
