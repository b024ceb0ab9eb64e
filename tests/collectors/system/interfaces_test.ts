// Which lines of /proc/net/dev are counted, on many kinds of machine.
import assert from "node:assert/strict";
import { type NetworkIo, readNetworkIo } from "../../../collectors/system/interfaces.ts";

const path = "/p/net/dev";
const heading = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
`;

/** An interface of 2 packets received and 10 sent, unless it has never been used. */
function line(name: string, received: number | bigint, sent: number | bigint = 0): string {
  const [packetsReceived, packetsSent] = received === 0 && sent === 0 ? [0, 0] : [2, 10];
  return `${name.padStart(6)}: ${received} ${packetsReceived} 3 4 5 6 7 8 ${sent} ${packetsSent} 11 12 13 14 15 16\n`;
}

function io(text: string): NetworkIo {
  const reading = readNetworkIo(text, path);
  assert.equal(reading.kind, "read", JSON.stringify(reading));
  return (reading as typeof reading & { kind: "read" }).value;
}

function reason(text: string): string {
  const reading = readNetworkIo(text, path);
  assert.equal(reading.kind, "unavailable", JSON.stringify(reading));
  return (reading as typeof reading & { kind: "unavailable" }).reason;
}

/** The names that were counted: each has received a power of two of its own. */
function counted(...names: string[]): string[] {
  const sum = io(heading + names.map((name, index) => line(name, 2 ** index)).join("")).bytes_recv;
  return names.filter((_, index) => Math.floor(sum / 2 ** index) % 2 === 1);
}

Deno.test("readNetworkIo adds bytes and packets of all interfaces, in both directions", () => {
  const text = heading + line("lo", 1_000, 1_000) + line("eth0", 100, 30) + line("eth1", 7, 5);
  assert.deepEqual(io(text), { bytes_sent: 35, bytes_recv: 107, packets_sent: 20, packets_recv: 4 });
});

Deno.test("readNetworkIo reads a number that follows the colon without a blank", () => {
  assert.equal(
    io(heading + "  eth0:1180281566   59703 0 0 0 0 0 0  2195438   29638 0 0 0 0 0 0\n").packets_sent,
    29_638,
  );
});

Deno.test("readNetworkIo counts cards under the names that kernel and udev give them, and under names of one's own", () => {
  const cards = ["eth0", "eno1", "ens3", "enp3s0f1np1", "enx001122334455", "end0", "enX0", "em1", "p1p1", "wlan0"];
  assert.deepEqual(counted("lo", ...cards), cards);
  const others = ["wlp2s0", "ib0", "ibp1s0", "hsn0", "venet0", "wwan0", "usb0", "lan", "wan", "public", "private0"];
  assert.deepEqual(counted("lo", ...others), others);
});

Deno.test("readNetworkIo counts the ports of a bond or team and not the bond", () => {
  assert.deepEqual(counted("lo", "eth0", "eth1", "bond0", "bond0.100"), ["eth0", "eth1"]);
  assert.deepEqual(counted("lo", "eno1", "eno2", "team0", "bond-storage"), ["eno1", "eno2"]);
});

Deno.test("readNetworkIo counts the card below bridges, containers and guests", () => {
  assert.deepEqual(counted("lo", "eth0", "docker0", "br-3f2a9c1b7d4e", "veth12ab34c", "docker_gwbridge"), ["eth0"]);
  assert.deepEqual(counted("lo", "eno1", "virbr0", "virbr0-nic", "vnet0", "vnet1", "macvtap0"), ["eno1"]);
  assert.deepEqual(counted("lo", "eno1", "vmbr0", "tap100i0", "fwbr100i0", "fwpr100p0", "fwln100i0"), ["eno1"]);
  assert.deepEqual(counted("lo", "ens5", "cni0", "flannel.1", "cali0123456789a", "tunl0", "kube-ipvs0"), ["ens5"]);
  assert.deepEqual(
    counted("lo", "ens5", "cilium_net", "cilium_host", "cilium_vxlan", "lxc0f3c1b2a", "eni0123456789a"),
    [
      "ens5",
    ],
  );
  assert.deepEqual(counted("lo", "eth0", "ovs-system", "br0", "lxdbr0", "podman0", "vxlan.calico"), ["eth0"]);
});

Deno.test("readNetworkIo counts the card below VLANs and tunnels", () => {
  assert.deepEqual(counted("lo", "eth0", "eth0.100", "eth0.4094", "vlan100", "macvlan0"), ["eth0"]);
  assert.deepEqual(counted("lo", "ib0", "ib0.8001"), ["ib0"]);
  assert.deepEqual(counted("lo", "eth0", "tun0", "wg0", "wg-office", "ppp0", "tailscale0", "ztabcdef12"), ["eth0"]);
  assert.deepEqual(counted("lo", "eth0", "sit0", "gre0", "gretap0", "erspan0", "ip6tnl0", "ip_vti0", "ip6_vti0"), [
    "eth0",
  ]);
});

Deno.test("readNetworkIo leaves out what never leaves the machine and copies of what another interface counted", () => {
  assert.deepEqual(counted("lo", "ifb0", "ifb1", "dummy0", "nlmon0", "eth0"), ["eth0"]);
});

Deno.test("readNetworkIo counts a virtual machine's direct way on Azure once", () => {
  assert.deepEqual(counted("lo", "eth0", "enP53091s1np0"), ["eth0"]);
  assert.deepEqual(counted("lo", "enP4p1s0", "enP5p1s0f0"), ["enP4p1s0", "enP5p1s0f0"]);
});

Deno.test("readNetworkIo counts what is built upon others where it is all that can be seen", () => {
  assert.deepEqual(counted("lo", "eth0.100"), ["eth0.100"]);
  assert.deepEqual(counted("lo", "tun0"), ["tun0"]);
  assert.equal(io(heading + line("tunl0", 0) + line("sit0", 0) + line("wg0", 9)).bytes_recv, 9);
  assert.match(
    reason(heading + line("wg0", 9) + line("tun0", 9)),
    /^Cannot use \/p\/net\/dev because it lists several/,
  );
});

Deno.test("readNetworkIo passes on counters that have wrapped, and 64 bits without loss of their size", () => {
  assert.equal(io(heading + line("eth0", 4_294_967_295)).bytes_recv, 4_294_967_295);
  assert.equal(io(heading + line("eth0", 5)).bytes_recv, 5);
  assert.equal(io(heading + line("eth0", 2n ** 64n - 1n)).bytes_recv, 2 ** 64);
});

Deno.test("readNetworkIo says why it cannot use a text", () => {
  for (const text of ["", heading, heading + line("lo", 5), heading + line("lo", 5) + line("dummy0", 1)]) {
    assert.equal(reason(text), "Cannot use /p/net/dev because it lists no network interface");
  }
  const form = (number: number) => `Cannot use /p/net/dev because line ${number} is not in the form of /proc/net/dev`;
  assert.equal(reason(heading + "  eth0: 1 2 3 4 5 6 7 8\n"), form(3));
  assert.equal(reason(heading + line("eth0", 5) + "garbage\n"), form(4));
  assert.equal(reason(heading + line("eth0", -5)), form(3));
  assert.equal(reason("\u0000\u0001"), form(1));
});
