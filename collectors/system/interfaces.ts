/**
 * What the machine has sent and received, from `/proc/net/dev` alone: which interface is built upon which is not in it
 * and is told by names. The rule and its limits are told in docs/documents/system_metrics.md.
 *
 * @module
 */

import { addCounters, countedOnce, type Layer, parseCounters, read, type Reading, unavailable } from "./reading.ts";

/** Since boot, of all interfaces together. */
export interface NetworkIo {
  bytes_sent: number;
  bytes_recv: number;
  packets_sent: number;
  packets_recv: number;
}

/** Bytes sent, bytes received, packets sent, packets received: the first eight columns are of what was received. */
const counterColumns = [8, 0, 9, 1];

/** What never leaves the machine (loopback, dummy), and copies of what another interface has counted. */
const neverCounted = /^(?:lo|(?:dummy|ifb|nlmon)\d*)$/;

/** Interfaces whose traffic passes through another one of the machine, or that lead to a container or guest in it. */
const builtUpon = [
  // Bonds and teams.
  /^(?:bond|team|teql)(?:[\d_.-].*)?$/,
  // Bridges: of the administrator, Docker, libvirt, Proxmox, LXC, Kubernetes, Podman.
  /^(?:br|bridge|vmbr|virbr|lxcbr|lxdbr|incusbr|docker|cni|cbr|podman|cni-podman|nerdctl)\d+(?:-nic)?$/,
  /^(?:br-.+|docker_gwbridge|kube-bridge|kube-ipvs0|nodelocaldns|ovs-.+|cilium_.+|weave|datapath|azure\d+|vrf.*)$/,
  // The machine's ends of what leads into containers and guests.
  /^(?:veth|vnet|tap|vif|cali|lxc|gke|azv|fwbr|fwpr|fwln|vb-|ve-|vt-).+$/,
  /^eni[0-9a-f]{11}$/,
  // VLANs under a name of their own, and further addresses on a card.
  /^(?:vlan|macvlan|macvtap|macsec|ipvlan|ipvtap)[\d_.-].*$/,
  // Tunnels and virtual private networks.
  /^(?:ppp|sit|gre|gretap|erspan|tunl|ipip|ip6tnl|ip6gre|ip6gretap|ip_vti|ip6_vti|gtp|l2tp|ipsec)\d*$/,
  /^(?:tun|wg|tailscale|zt|utun|nebula|flannel|vxlan|geneve?|xfrm)[\w.-]*$/,
];

/** The direct way of a virtual machine on Azure (`enP4711s1`): its `eth0` counts what goes that way as well. */
const azureDirect = /^enP\d+s\d+/;

interface NetworkInterface {
  name: string;
  counters: bigint[];
}

/** Adds up the interfaces of a text of `/proc/net/dev`. `path` is where it came from, for the reason. */
export function readNetworkIo(text: string, path: string): Reading<NetworkIo> {
  const interfaces = new Map<string, NetworkInterface>();
  for (const [index, line] of text.split("\n").entries()) {
    // Two lines of headings, the only ones with a bar.
    if (line.trim() === "" || line.includes("|")) continue;
    // Older kernels leave no blank between the colon and the first number; a name holds neither.
    const [, name, rest] = /^\s*([^:\s]+):\s*(.*)$/.exec(line) ?? [];
    const counters = parseCounters(rest?.trim().split(/\s+/) ?? [], counterColumns);
    if (name === undefined || counters === null) {
      return unavailable(`Cannot use ${path} because line ${index + 1} is not in the form of /proc/net/dev`);
    }
    interfaces.set(name, { name, counters });
  }
  const layered = [...interfaces.values()].map((one) => ({ ...one, layer: layerOf(one.name, interfaces) }));
  const counted = countedOnce(layered, { path, of: "network interface" });
  if (counted.kind === "unavailable") return counted;
  const [bytesSent, bytesReceived, packetsSent, packetsReceived] = addCounters(counted.value);
  return read({
    bytes_sent: bytesSent!,
    bytes_recv: bytesReceived!,
    packets_sent: packetsSent!,
    packets_recv: packetsReceived!,
  });
}

function layerOf(name: string, interfaces: ReadonlyMap<string, unknown>): Layer {
  if (neverCounted.test(name)) return "never";
  const isBuiltUpon = builtUpon.some((pattern) => pattern.test(name)) || isVlan(name, interfaces) ||
    isCountedDirect(name, interfaces);
  return isBuiltUpon ? "upon" : "own";
}

/** `eth0.100` beside `eth0`. Alone it is how a container sees the network, and counts. */
function isVlan(name: string, interfaces: ReadonlyMap<string, unknown>): boolean {
  const dot = name.lastIndexOf(".");
  return dot > 0 && interfaces.has(name.slice(0, dot));
}

function isCountedDirect(name: string, interfaces: ReadonlyMap<string, unknown>): boolean {
  return azureDirect.test(name) && [...interfaces.keys()].some((other) => /^eth\d+$/.test(other));
}
