/**
 * Who may deliver documents: a key for each project, or one for all.
 *
 * @module
 */

import { createHash, timingSafeEqual } from "node:crypto";

/** The project of {@link Key} that stands for all. */
export const anyProject = "*";

/** A key, and the project whose documents it may deliver. */
export interface Key {
  project: string;
  secret: string;
}

/** Knows the keys by their digests. */
export class Keys {
  readonly #keys: readonly { project: string; digest: Uint8Array }[];

  constructor(keys: readonly Key[]) {
    this.#keys = keys.map(({ project, secret }) => ({ project, digest: digestOf(secret) }));
  }

  /**
   * The projects that the token opens; empty for a wrong one. Takes equally long whether and wherever it differs: all
   * keys are compared, by digests, because the comparison needs equal lengths.
   */
  projectsOf(token: string): string[] {
    const digest = digestOf(token);
    const matches = this.#keys.map((key) => timingSafeEqual(key.digest, digest));
    return this.#keys.filter((_, index) => matches[index]).map(({ project }) => project);
  }
}

/** Reads `project = key` lines; `#` and `;` begin comments. Throws, naming the line, never its key. */
export function parseKeys(text: string): Key[] {
  const keys = text.split(/\r?\n/).flatMap((line, index) => {
    if (/^\s*(?:[#;].*)?$/.test(line)) return [];
    const [, project, secret] = /^\s*([^=\s](?:[^=]*[^=\s])?)\s*=\s*(\S+)\s*$/.exec(line) ?? [];
    if (project === undefined || secret === undefined) {
      throw new Error(`Cannot read line ${index + 1} of the keys because it must be project = key`);
    }
    return [{ project, secret }];
  });
  if (keys.length === 0) throw new Error("Cannot listen without keys: the file of keys has none");
  return keys;
}

function digestOf(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
