/**
 * Makes the parsers of one file: in the format that its name or its beginning tells, with what the server has said of its
 * logs, and a guess of what it has not.
 *
 * @module
 */

import * as limits from "../../limits.ts";
import { createLogParser, detectFormat, guessPrefix } from "./detect.ts";
import { formatOf } from "./log_choice.ts";
import { openIfThere } from "./log_files.ts";
import type { LogFormat, LogParser, ResumePoint } from "./log_parser.ts";
import type { LogSettings } from "./log_settings.ts";

/** Makes parsers of the generations of one log. */
export class ParserMaker {
  readonly format: LogFormat;
  readonly #path: string;
  readonly #settings: () => LogSettings;
  #guessed: string | null;

  private constructor(path: string, options: { beginning: Uint8Array; settings: () => LogSettings }) {
    this.#path = path;
    this.#settings = options.settings;
    this.format = formatOf(path) ?? detectFormat(options.beginning);
    this.#guessed = guessPrefix(options.beginning);
  }

  /** Looks at a file, which may be empty or not be there at the moment. Throws what else the file system says. */
  static async of(path: string, settings: () => LogSettings): Promise<ParserMaker> {
    using file = await openIfThere(path);
    const buffer = new Uint8Array(limits.logBlockBytes);
    return new ParserMaker(path, { beginning: buffer.subarray(0, await file?.read(buffer) ?? 0), settings });
  }

  /** The parser from a point on, where this block is. */
  create(from: ResumePoint, block: Uint8Array): LogParser {
    const { prefix, zone, isTranslated } = this.#settings();
    // The file may have been empty.
    const known = prefix ?? (this.#guessed ??= guessPrefix(block));
    return createLogParser(this.format, {
      file: this.#path,
      from,
      isTranslated,
      ...(zone === null ? {} : { zone }),
      ...(known === null ? {} : { prefix: known }),
    });
  }
}
