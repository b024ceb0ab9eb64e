/**
 * Texts of the server without what users and applications put into them: `query_text = redacted`. What is kept and what
 * is not, with examples and limits, is in docs/redaction.md.
 *
 * @module
 */

export { type MessageOptions, redactMessage } from "./redact/message.ts";
export { isRaised } from "./redact/raised.ts";
export { placeholder, redactSql } from "./redact/sql.ts";
