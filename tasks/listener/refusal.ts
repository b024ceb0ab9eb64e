/**
 * An answer that is no success, thrown from wherever it is found out.
 *
 * @module
 */

/** The sender's mistake, or a listener that has no room just now. The message is for the sender to read. */
export class Refusal extends Error {
  readonly status: number;
  readonly headers: Record<string, string>;

  constructor(status: number, reason: string, headers: Record<string, string> = {}) {
    super(reason);
    this.name = "Refusal";
    this.status = status;
    this.headers = headers;
  }
}
