/**
 * Logs that a real server has written, of the same run in all formats: the statements of a website with their durations
 * (`log_min_duration_statement = 0`), errors and what belongs to them, half of the sessions with a correlation id.
 *
 * @module
 */

import { join } from "node:path";
import { formatsOf, startLoggingServer } from "../support/server_logs.ts";
import type { EmbeddedPostgres } from "../../tasks/demo/embedded_postgres.ts";
import type { LogFormat } from "../../collectors/logs/log_parser.ts";
import { shopSchema, statementOf } from "./shop.ts";

/** The files, cut to the same size at the end of a record, and their server, which writes no more. */
export interface WrittenLogs extends AsyncDisposable {
  server: EmbeddedPostgres;
  files: Record<LogFormat, string>;
  prefix: string;
}

const prefix = "%m [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ";
const extensions: Record<LogFormat, string> = { stderr: "log", csvlog: "csv", jsonlog: "json" };
/** Statements that are sent before the answers to the first are waited for. */
const pipelined = 2_000;
const sessions = 4;

export async function writeLogs(bytes: number): Promise<WrittenLogs> {
  const server = await startLoggingServer(18, {
    log_line_prefix: prefix,
    log_min_duration_statement: "0",
    log_connections: "off",
    log_disconnections: "off",
  });
  const folder = await Deno.makeTempDir({ prefix: "bitville-bench-logs-" });
  const written = (format: LogFormat) => join(server.dataDirectory, "log", `server.${extensions[format]}`);
  const sizes = () => formatsOf(18).map((format) => Deno.statSync(written(format)).size);
  await server.query(shopSchema);
  const connections = await Promise.all(Array.from({ length: sessions }, (_, index) => connect(server, index)));
  await Promise.all(connections.map(async (connection) => {
    while (Math.min(...sizes()) < bytes) await sendMany(connection);
  }));
  for (const { socket } of connections) socket.close();
  await server.query("alter system set log_min_duration_statement = -1");
  await server.query("select pg_reload_conf()");
  const files = {} as Record<LogFormat, string>;
  for (const format of formatsOf(18)) {
    files[format] = join(folder, `postgresql.${extensions[format]}`);
    await copyBeginning(written(format), files[format], bytes);
  }
  return {
    ...{ server, files, prefix },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

async function copyBeginning(from: string, to: string, bytes: number): Promise<void> {
  using source = await Deno.open(from);
  const buffer = new Uint8Array(bytes);
  let length = 0;
  for (;;) {
    const count = await source.read(buffer.subarray(length));
    if (count === null || count === 0) break;
    length += count;
  }
  await Deno.writeFile(to, buffer.subarray(0, endOfRecord(buffer.subarray(0, length))));
}

/** Lines of statements begin with neither (`shop.ts`), so a record ends where the next line begins with a date or `{`. */
function endOfRecord(bytes: Uint8Array): number {
  for (let end = bytes.lastIndexOf(10); end > 0; end = bytes.lastIndexOf(10, end - 1)) {
    if (bytes[end + 1] === 0x32 || bytes[end + 1] === 0x7b) return end + 1;
  }
  return bytes.length;
}

interface Connection {
  socket: Deno.Conn;
  number: number;
}

/** The protocol's first steps, for a server that trusts everybody: the driver would wait for each answer. */
async function connect({ host, port }: EmbeddedPostgres, index: number): Promise<Connection> {
  const socket = await Deno.connect({ hostname: host, port });
  const app = index % 2 === 1 ? "bitville-0b0e8a3e-7a3a-4a53-9d55-000000000001" : "web";
  const parameters = ["user", "postgres", "database", "postgres", "application_name", app, ""].join("\0") + "\0";
  const body = new TextEncoder().encode(parameters);
  const message = new Uint8Array(8 + body.length);
  new DataView(message.buffer).setUint32(0, message.length);
  new DataView(message.buffer).setUint32(4, 196_608);
  message.set(body, 8);
  await writeAll(socket, message);
  await readUntilReady(socket, 1);
  return { socket, number: index * 1_000_000 };
}

async function sendMany(connection: Connection): Promise<void> {
  const texts = Array.from({ length: pipelined }, () => statementOf(connection.number++));
  const encoder = new TextEncoder();
  const messages = texts.map((text) => {
    const body = encoder.encode(text);
    const message = new Uint8Array(6 + body.length);
    message[0] = 0x51;
    new DataView(message.buffer).setUint32(1, body.length + 5);
    message.set(body, 5);
    return message;
  });
  const ready = readUntilReady(connection.socket, texts.length);
  await writeAll(connection.socket, new Uint8Array(await new Blob(messages).arrayBuffer()));
  await ready;
}

/** Reads what the server sends until it has been ready for a query so many times. */
async function readUntilReady(socket: Deno.Conn, times: number): Promise<void> {
  let held = new Uint8Array(0);
  const piece = new Uint8Array(64 * 1024);
  while (times > 0) {
    const count = await socket.read(piece);
    if (count === null) throw new Error("The server closed the connection");
    const bytes = new Uint8Array(held.length + count);
    bytes.set(held);
    bytes.set(piece.subarray(0, count), held.length);
    let start = 0;
    while (start + 5 <= bytes.length) {
      const length = new DataView(bytes.buffer).getUint32(start + 1) + 1;
      if (start + length > bytes.length) break;
      if (bytes[start] === 0x5a) times -= 1;
      start += length;
    }
    held = bytes.slice(start);
  }
}

async function writeAll(socket: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await socket.write(bytes.subarray(written));
}
