/**
 * What the agent tells systemd, by the protocol of sd_notify(3): datagrams of `NAME=value` lines. The only user of a
 * datagram socket. Nothing of this is there when the agent was not started by systemd.
 *
 * @module
 */

import { join } from "../paths.ts";
import { errorMessage, type Log } from "../log_interface.ts";

/** The variables that systemd sets for a service with `Type=notify` and a `RuntimeDirectory=`. */
export const notifyVariables = ["NOTIFY_SOCKET", "RUNTIME_DIRECTORY", "WATCHDOG_USEC"] as const;

/** The service manager's socket, and the one that messages are sent from. */
export interface NotifySockets {
  manager: string;
  own: string;
}

/** Where to send messages; null when nobody waits for them, or at an address without a path, which Deno cannot name. */
export function notifySockets(environment: (name: string) => string | undefined): NotifySockets | null {
  const manager = environment("NOTIFY_SOCKET") ?? "";
  // Several folders are separated by colons.
  const [folder = ""] = (environment("RUNTIME_DIRECTORY") ?? "").split(":");
  if (!manager.startsWith("/") || !folder.startsWith("/")) return null;
  return { manager, own: join(folder, "notify") };
}

/** How often systemd wants to hear from the agent, in milliseconds; null when it does not. */
export function watchdogMs(environment: (name: string) => string | undefined): number | null {
  const microseconds = Number(environment("WATCHDOG_USEC") ?? "");
  return Number.isFinite(microseconds) && microseconds > 0 ? microseconds / 1_000 : null;
}

/** A way to the service manager. */
export interface ServiceManager {
  /** Sends these lines as one message. Never throws: the agent does its work without being heard. */
  notify(lines: readonly string[]): Promise<void>;
  close(): void;
}

/** Opens the way to systemd. Throws when the agent's own socket cannot be made. */
export async function openServiceManager(sockets: NotifySockets, log: Log): Promise<ServiceManager> {
  // Deno sends datagrams only from a socket that has a name, and a process that was killed leaves it behind.
  await Deno.remove(sockets.own).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  return new Systemd(Deno.listenDatagram({ path: sockets.own, transport: "unixpacket" }), sockets.manager, log);
}

class Systemd implements ServiceManager {
  readonly #socket: Deno.DatagramConn;
  readonly #manager: Deno.UnixAddr;
  readonly #log: Log;
  /** Said once until it is heard again. */
  #isUnheard = false;

  constructor(socket: Deno.DatagramConn, path: string, log: Log) {
    this.#socket = socket;
    this.#manager = { path, transport: "unixpacket" };
    this.#log = log;
  }

  async notify(lines: readonly string[]): Promise<void> {
    try {
      await this.#socket.send(new TextEncoder().encode(lines.join("\n")), this.#manager);
      this.#isUnheard = false;
    } catch (error) {
      if (!this.#isUnheard) this.#log.warning("service_manager_unreachable", { error: errorMessage(error) });
      this.#isUnheard = true;
    }
  }

  close(): void {
    this.#socket.close();
  }
}
