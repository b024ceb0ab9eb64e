/**
 * The doctor's look at the listener: reachable, willing to take the key, and on time. It sends a POST without a body:
 * who checks keys says 401 or 403, and nobody can take nothing for a document.
 *
 * @module
 */

import { isLoopback } from "../../config.ts";
import { type ListenerAnswer, probeListener } from "../../transport/http_delivery.ts";
import type { Check, Finding, Mend, Patient } from "./check.ts";

const name = "listener";

/** The `Date` header has whole seconds, and the answer was under way. */
const skewMaxMs = 10_000;

/** The listener answers, and does not refuse the key. */
export const listenerCheck: Check = {
  name,
  async run(patient) {
    const { config, clock } = patient;
    const { listener } = config;
    const caCertificates = listener.caFile === "" ? [] : [await Deno.readTextFile(listener.caFile)];
    const answer = await probeListener({
      url: listener.url!,
      apiKey: listener.apiKey.reveal(),
      timeoutMs: listener.timeoutS * 1_000,
      compression: "none",
      caCertificates,
      userAgent: `bitville-postgres-agent/${patient.agentVersion} doctor`,
      clock,
    }, patient.signal);
    if (answer.kind === "none") {
      return [{ name, state: "FAIL", text: answer.reason, mend: mendOfSilence(answer, patient) }];
    }
    return [statusFinding(answer, patient), ...skewFindings(answer, clock.now())];
  },
};

function statusFinding({ status, location }: ListenerAnswer & { kind: "answer" }, { config }: Patient): Finding {
  const { url, apiKeyFile } = config.listener;
  const text = `${url!.origin} answers ${status} to a request without a document`;
  const fail = (reason: string, mend: Mend): Finding => ({ name, state: "FAIL", text: `${text}: ${reason}`, mend });
  const setUrl = (value: string): Mend => ({ kind: "setting", section: "listener", key: "url", value });
  if (status === 401 || status === 403) {
    const place = apiKeyFile === "" ? "listener.api_key" : apiKeyFile;
    return fail("the key is refused", { kind: "advice", text: `write the listener's key to ${place}` });
  }
  if (status >= 300 && status < 400) {
    const mend: Mend = location === null
      ? { kind: "advice", text: "set listener.url to the final address" }
      : setUrl(new URL(location, url!).href);
    return fail("a redirect, which is not followed", mend);
  }
  if (status === 404 || status === 405 || status === 410) {
    return fail("nothing takes documents there", { kind: "advice", text: "correct the path of listener.url" });
  }
  if (status >= 500 || [408, 425, 429].includes(status)) {
    const mend: Mend = { kind: "advice", text: "look at the listener; meanwhile the buffer keeps what is collected" };
    return { name, state: "warn", text: `${text}: it is in trouble`, mend };
  }
  return { name, state: "ok", text: `${text}: it is there and does not refuse the key` };
}

function mendOfSilence({ reason, hint }: ListenerAnswer & { kind: "none" }, { config }: Patient): Mend {
  const { url } = config.listener;
  if (hint !== null) return { kind: "advice", text: hint };
  if (reason.includes("does not speak TLS")) {
    // Elsewhere than on this machine plain http would hand the key and everything else to whoever listens in.
    if (!isLoopback(url!)) {
      return { kind: "advice", text: "correct the port of listener.url: https is spoken elsewhere" };
    }
    return { kind: "setting", section: "listener", key: "url", value: `http:${url!.href.slice("https:".length)}` };
  }
  return { kind: "advice", text: `start the listener, or open the way to ${url!.host}: curl -v ${url!.origin}` };
}

function skewFindings({ date }: ListenerAnswer & { kind: "answer" }, now: Date): Finding[] {
  if (date === null) return [];
  const skewMs = now.getTime() - date.getTime();
  if (Math.abs(skewMs) <= skewMaxMs) return [];
  const text = `This machine's clock and the listener's are ${Math.round(Math.abs(skewMs) / 1_000)} s apart`;
  return [{ name: "clock", state: "warn", text, mend: { kind: "shell", command: "timedatectl set-ntp true" } }];
}
