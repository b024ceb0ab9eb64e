/**
 * Forms of PostgreSQL's messages, from its catalogue (`src/backend/po`) in English: those that hold no value, and those
 * whose quotes or rest are known to hold a statement, a value or a name. A form of which only a part fits is no form.
 * No two repetitions in a row match the same characters without a bound: the texts may be long and of anybody's making.
 *
 * @module
 */

const nouns = new RegExp(
  String.raw`(?:\b(?:relation|table|view|index|sequence|column|constraint|trigger|rule|policy|schema|database|role` +
    "|tablespace|function|procedure|aggregate|family|operator class|type|domain|extension|collation|conversion|encoding" +
    "|publication|subscription|slot|origin|cursor|portal|partition|attribute|dictionary|text search configuration" +
    "|text search parser|configuration parameter|for parameter|savepoint|language|access method|foreign-data wrapper" +
    "|prepared statement|column reference|failed for user|record|statistics object)|^parameter) $",
);

/** Whether what is in quotes between `before` and `after` is a name: of an object, or of a file of the server's own. */
export function isNameBehind(before: string, after: string): boolean {
  return nouns.test(before) || (/\b(?:file|path|directory) $/.test(before) && /^(?:base|global|pg_\w+)\//.test(after));
}

/**
 * How messages go on behind a value: with one of these words, or not at all. Behind a quote that a value itself holds
 * there may be anything.
 */
export const valueEnd =
  /^(?:[.,:;)]*$|[,:;]? (?:is|does|not|for|of|has|must|cannot|can|was|in|on|to|at|and|or|with|from|already|violates|contains|conflicts|found)\b|: [A-Z])/;

/** What begins a part of a context or of a deadlock's detail, at a line's start. */
export const contextStart =
  /^(?:PL\/pgSQL (?:function |(?:expression|assignment) ")|SQL (?:function|statement|expression) "|Process \d+(?: waits for |: )|COPY [^"\n]+, line \d+)/;

/** What a statement follows. */
export const sqlParts = new RegExp(
  [
    String.raw`^(?:duration: [\d.]+ ms +)?(?:statement|(?:parse|bind|execute(?: fetch from)?) [^:\n]*): `,
    "^prepare: ",
    "^Failed process was running: ",
    "^remote SQL command: ",
    String.raw`^Process \d+: `,
    '^SQL (?:statement|expression) "',
    '^PL/pgSQL (?:expression|assignment) "',
  ].join("|"),
);

/** What a value without quotes, or with quotes and anything else, follows up to the end. */
export const openParts =
  /^(?:JSON data, line \d+: |COPY [^":,\n]+, line \d+(?:, column [^":,\n]+)?: (?!null input$)|(?:invalid|conflicting) [a-z ]+ option "\w+": )/;

const names = String.raw`[\w$."]+`;
const types = String.raw`[\w ."\[\],]*`;

/** Whole texts without a value: what they hold is the server's own, or names. */
const harmless: readonly RegExp[] = [
  /^duration: [\d.]+ ms$/,
  /^(?:checkpoint|restartpoint) (?:starting|complete): [^"']+$/,
  /^automatic (?:aggressive )?(?:vacuum|analyze)(?: to prevent wraparound)? of table "/,
  /^temporary file: path "(?:base|pg_tblspc)\/[\w./]+", size \d+$/,
  /^connection (?:received|authenticated|authorized): /,
  /^replication connection authorized: /,
  /^disconnection: session time: /,
  /^no pg_hba\.conf entry for /,
  /^database system (?:was|is) [\w ,:.+-]+$/,
  /^(?:starting PostgreSQL|listening on) /,
  /^redo (?:starts|done) at [\w ./:,]+$/,
  /^process \d+ (?:still waiting for|acquired|detected deadlock while waiting for|avoided deadlock for) [\w ,.()]+$/,
  /^Process(?:es)? holding the lock: [\d, ]+\. Wait queue: [\d, ]*\.$/,
  /^Process \d+ waits for \w+ on [\w ,()]+; blocked by process \d+\.$/,
  /^[\w ]+ process \(PID \d+\) (?:exited with exit code|was terminated by signal) \d+(?:: [A-Za-z ]+)?$/,
  /^(?:permission denied for|must be owner of) [a-z -]+ [\w$.]+$/,
  /^value too long for type [a-z ]+\(\d+\)$/,
  /^A field with precision \d+, scale -?\d+ must round to an absolute value less than [\d^-]+\.$/,
  new RegExp(String.raw`^(?:function|procedure|aggregate) ${names}\(${types}\) (?:does not exist|is not unique)$`),
  /^PL\/pgSQL function [^\n']+ (?:line \d{1,9} at [A-Za-z/ ]{1,40}|(?:during|while) [a-z' ]{1,60})$/,
  /^SQL function "[^"\n]+" (?:statement \d+|during [a-z]+)$/,
  /^COPY [^":,\n]+, line \d+(?:, column [^":,\n]+: null input)?$/,
];

/** Whether a text holds no value, as a whole. */
export function isHarmless(text: string): boolean {
  return harmless.some((form) => form.test(text));
}
