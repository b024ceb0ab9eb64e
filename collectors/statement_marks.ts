/**
 * What the agent knows of each entry, as small as the server can look it up: two strings of bytes. In the place of an
 * entry stands its mark as it was last read; where the server finds another one, the entry has changed or is new.
 *
 * - An entry has one place in the table, and no two share one: what a group of entries is moved by (`shifts`) is
 *   chosen so. An entry that finds no place is not in the table: what stands where it is looked for is another's mark,
 *   and so it is sent each time.
 * - An empty place holds what no entry's mark is.
 *
 * @module
 */

import * as limits from "../limits.ts";

/** Of one entry, made by the server; to the agent these are numbers without a meaning. */
export interface Mark {
  /** 48 bits that are spread over entries: where it is to be looked for. */
  place: number;
  /** 31 bits that change when the entry does. */
  value: number;
}

/** What is passed along with the question. */
export interface MarkTable {
  /** Four bytes a place, big end first: the mark, or all ones. */
  slots: Uint8Array;
  slotMask: number;
  /** What the places of a group are moved by, one byte a group. */
  shifts: Uint8Array;
  groupMask: number;
}

const shiftsMax = 256;
const slotBytes = 4;
/** Bits of {@link Mark.place} that tell the group; those beyond tell the slot. */
export const groupBits = 16;
const groupsMax = 2 ** groupBits;

/** Knows of nothing: every entry is sent. */
export const emptyTable: MarkTable = layOutTable([]);

/** Gives each mark its place. Larger groups choose first, while there is room. */
export function layOutTable(marks: readonly Mark[], slotsMax: number = limits.statementSlotsMax): MarkTable {
  const slotCount = powerOfTwo(marks.length * limits.statementSlotsFactor, { least: shiftsMax, most: slotsMax });
  const groupCount = Math.min(slotCount / 4, groupsMax);
  const [slotMask, groupMask] = [slotCount - 1, groupCount - 1];
  const groups: Mark[][] = Array.from({ length: groupCount }, () => []);
  for (const mark of marks) groups[mark.place & groupMask]!.push(mark);
  const slots = new Int32Array(slotCount).fill(-1);
  const shifts = new Uint8Array(groupCount);
  const order = Array.from(groups.keys()).sort((one, other) => groups[other]!.length - groups[one]!.length);
  for (const group of order) {
    const members = groups[group]!;
    // Rarely one has to stay outside so that the others fit.
    while (members.length > 0) {
      const shift = fit(members, slots);
      if (shift !== null) {
        shifts[group] = shift;
        break;
      }
      members.pop();
    }
  }
  return { slots: bigEndian(slots), slotMask, shifts, groupMask };
}

/** Puts the members of one group into free slots, and tells what they had to be moved by; null when it cannot be. */
function fit(members: readonly Mark[], slots: Int32Array): number | null {
  const slotMask = slots.length - 1;
  const bases = members.map(({ place }) => Math.floor(place / groupsMax) & slotMask);
  for (let shift = 0; shift < shiftsMax; shift++) {
    let placed = 0;
    while (placed < bases.length && slots[bases[placed]! ^ shift] === -1) {
      slots[bases[placed]! ^ shift] = members[placed]!.value;
      placed++;
    }
    if (placed === bases.length) return shift;
    while (placed > 0) slots[bases[--placed]! ^ shift] = -1;
  }
  return null;
}

function powerOfTwo(wanted: number, { least, most }: { least: number; most: number }): number {
  let size = least;
  while (size < wanted && size < most) size *= 2;
  return size;
}

function bigEndian(slots: Int32Array): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(slots.length * slotBytes));
  slots.forEach((value, index) => bytes.setInt32(index * slotBytes, value));
  return new Uint8Array(bytes.buffer);
}
