/**
 * The doctor's look at the installation: what the unit owes to the configuration has been computed since it changed.
 *
 * @module
 */

import type { Check } from "./check.ts";

const name = "unit";

/** Only on a server where the agent is installed. */
export const unitCheck: Check = {
  name,
  run({ surroundings }) {
    const { dropIn, isActive } = surroundings;
    if (dropIn === null) return Promise.resolve([]);
    if (dropIn !== "current") {
      const text = dropIn === "stale"
        ? "The unit was set up for another configuration: it may keep the agent from its listener or its logs"
        : "The unit has not been set up for this configuration";
      const command = "bitville-postgres-agent install && systemctl restart bitville-postgres-agent";
      return Promise.resolve([{
        name,
        state: dropIn === "stale" ? "FAIL" : "warn",
        text,
        mend: { kind: "shell", command },
      }]);
    }
    if (isActive) return Promise.resolve([{ name, state: "ok", text: "set up for this configuration, and running" }]);
    const mend = { kind: "shell" as const, command: "systemctl enable --now bitville-postgres-agent" };
    return Promise.resolve([{ name, state: "warn", text: "systemd does not run the agent", mend }]);
  },
};
