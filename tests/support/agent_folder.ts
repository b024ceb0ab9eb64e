/**
 * What one agent keeps on disk: its configuration file and its buffer, in a temporary folder that outlives the agent's
 * processes, so that a test can kill one and start the next.
 *
 * @module
 */

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { SystemUser } from "../../tasks/demo/embedded_postgres.ts";
import { draftOf } from "./drafts.ts";
import type { ScriptedListener } from "./scripted_listener.ts";
import { openTestOutbox } from "./test_outbox.ts";

/** Sections of the INI file; undefined takes a key away. */
export type Settings = Record<string, Record<string, string | number | undefined>>;

/** Secrets that must turn up nowhere but where they belong. */
export const apiKey = "integration-key-b7f2c1";
export const password = "integration-password-5d90";

export interface AgentFolderOptions {
  database: { host: string; port: number };
  /** Without it the listener's section is left out. */
  listener?: Pick<ScriptedListener, "url">;
  /** Over the settings that are made of the two above. */
  settings?: Settings;
  /** Who owns it, if not this process's user. */
  owner?: SystemUser;
}

/** A folder with `agent.ini`; `buffer/` in it is made by the agent. */
export class AgentFolder implements AsyncDisposable {
  readonly path: string;
  readonly settings: Settings;

  private constructor(path: string, settings: Settings) {
    this.path = path;
    this.settings = settings;
  }

  static async create(options: AgentFolderOptions): Promise<AgentFolder> {
    const path = await Deno.makeTempDir({ prefix: "bitville-agent-" });
    const folder = new AgentFolder(path, merge(defaultSettings(path, options), options.settings ?? {}));
    await Deno.writeTextFile(folder.iniPath, iniText(folder.settings));
    const { owner } = options;
    if (owner !== undefined) {
      for (const owned of [path, folder.iniPath]) await Deno.chown(owned, owner.uid, owner.gid);
    }
    return folder;
  }

  get iniPath(): string {
    return join(this.path, "agent.ini");
  }

  get bufferPath(): string {
    return join(this.path, "buffer");
  }

  /** Writes the configuration file anew, for agents started from now on. */
  async set(settings: Settings): Promise<void> {
    await Deno.writeTextFile(this.iniPath, iniText(merge(this.settings, settings)));
  }

  /** Puts documents of about `bytes` each into the buffer, as an agent that could not send them would have. */
  async fill(count: number, bytes = 0): Promise<void> {
    const outbox = await openTestOutbox(this.bufferPath, { maxBytes: 1_000_000_000 });
    for (let index = 0; index < count; index++) await outbox.put(draftOf(`${index}`, bytes));
    await outbox.close();
  }

  /** How many documents are in the buffer, and whether the file is sound. No agent may be running. */
  async inspect(): Promise<{ records: number; bytes: number; nextSequence: number; integrity: string }> {
    const outbox = await openTestOutbox(this.bufferPath, { maxBytes: 1_000_000_000 });
    const { records, bytes, nextSequence } = outbox.status();
    await outbox.close();
    using file = new DatabaseSync(join(this.bufferPath, "outbox.kv"));
    const integrity = String(file.prepare("pragma integrity_check").get()?.integrity_check);
    return { records, bytes, nextSequence, integrity };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

function defaultSettings(path: string, { database, listener }: AgentFolderOptions): Settings {
  return {
    database: { host: database.host, port: database.port, user: "postgres", password },
    collection: { log_path: "" },
    ...(listener === undefined
      ? {}
      : { listener: { url: listener.url.href, api_key: apiKey, project_id: "integration" } }),
    buffer: { path: join(path, "buffer") },
    logging: { level: "debug" },
  };
}

function merge(base: Settings, over: Settings): Settings {
  const merged = { ...base };
  for (const [section, keys] of Object.entries(over)) merged[section] = { ...merged[section], ...keys };
  return merged;
}

function iniText(settings: Settings): string {
  return Object.entries(settings).map(([section, keys]) => {
    const given = Object.entries(keys).filter(([, value]) => value !== undefined);
    return `[${section}]\n${given.map(([key, value]) => `${key} = ${value}\n`).join("")}`;
  }).join("\n");
}
