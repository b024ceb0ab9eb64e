/**
 * Documents straight into the listener's store, past HTTP: for tests that want many.
 *
 * @module
 */

import { gzipSync } from "node:zlib";
import type { Database } from "../../tasks/listener/database.ts";
import { extract } from "../../tasks/listener/extract.ts";
import type { WireDocument } from "../../tasks/listener/schemas.ts";
import { Store } from "../../tasks/listener/store.ts";

/** Stores all of them in one commit. */
export function storeDocuments(database: Database, documents: readonly WireDocument[]): void {
  new Store(database).write(documents.map((document) => {
    const json = new TextEncoder().encode(JSON.stringify(document));
    const atMs = Date.parse(document.timestamp);
    const body = new Uint8Array(gzipSync(json, { level: 1 }));
    return { document, body, bytes: json.length, atMs, receivedMs: atMs, extract: extract(document, atMs) };
  }));
}
