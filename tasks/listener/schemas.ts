/**
 * What a document must look like, by the JSON Schemas of `docs/schemas/`. The agent itself checks nothing of this: the
 * schemas are what listeners are written against, so they are held against the agent here and in the tests.
 *
 * @module
 */

import { Ajv2020, type AnySchemaObject, type ErrorObject } from "ajv/dist/2020.js";

/** The schema of the envelope is in `envelope.schema.json`, that of a type's `data` in `TYPE.schema.json`. */
const folder = new URL("../../docs/schemas/", import.meta.url);
const ending = ".schema.json";

/** A document that keeps to the schema of the envelope. */
export interface WireDocument {
  id: string;
  project: string;
  host: string;
  type: string;
  sequence: number;
  timestamp: string;
  agent: { version: string };
  data: Record<string, unknown>;
}

/** The first few say what is wrong; an array of a thousand wrong sessions would say it a thousand times. */
const reasonsMax = 3;

/** Says what is wrong with a document, or null when nothing is. */
export type Validate = (document: unknown) => string | null;

/** Reads and compiles the schemas. Takes some 50 ms: do it once. */
export function createValidator(): Validate {
  const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true, strictRequired: false });
  for (const { name } of Deno.readDirSync(folder)) {
    const type = name.endsWith(ending) ? name.slice(0, -ending.length) : "envelope";
    if (type !== "envelope") ajv.addSchema(readSchema(type));
  }
  const isValid = ajv.compile(readSchema("envelope"));
  return function validate(document) {
    if (isValid(document)) return null;
    const reasons = (isValid.errors ?? []).map(reasonOf);
    const more = reasons.length > reasonsMax ? ` and ${reasons.length - reasonsMax} more` : "";
    return reasons.slice(0, reasonsMax).join("; ") + more;
  };
}

function readSchema(name: string): AnySchemaObject {
  return JSON.parse(Deno.readTextFileSync(new URL(`${name}${ending}`, folder)));
}

function reasonOf(error: ErrorObject): string {
  const { additionalProperty } = error.params;
  const what = additionalProperty === undefined ? "" : ` (${additionalProperty})`;
  return `${error.instancePath || "The document"} ${error.message}${what}`;
}
