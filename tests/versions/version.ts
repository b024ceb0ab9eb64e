/**
 * All that is held against one version of PostgreSQL. Each version has a test file, so that the servers of one run at a
 * time.
 *
 * @module
 */

import type { PostgresVersion } from "../../tasks/demo/embedded_postgres.ts";
import { testActivity } from "../contracts/activity.ts";
import { testLocks } from "../contracts/locks.ts";
import { testLogs } from "../contracts/logs.ts";
import { testRoles } from "../contracts/roles.ts";
import { testStatements } from "../contracts/statements.ts";
import { testGolden } from "./golden.ts";

/** Registers every suite, or one skipped test that says why there is none. */
export function testVersion(version: PostgresVersion): void {
  const platform = `${Deno.build.os}-${Deno.build.arch === "aarch64" ? "arm64" : "x64"}`;
  if (!isAvailable(version, platform)) {
    const name = `The collectors on PostgreSQL ${version} (npm has no PostgreSQL ${version} for ${platform})`;
    Deno.test({ name, ignore: true, fn: () => {} });
    return;
  }
  for (const suite of [testActivity, testStatements, testLocks, testRoles, testLogs, testGolden]) suite(version);
}

/** What npm has is what has a lock file. */
function isAvailable(version: PostgresVersion, platform: string): boolean {
  try {
    return Deno.statSync(new URL(`../../tasks/demo/locks/${version}-${platform}.json`, import.meta.url)).isFile;
  } catch {
    return false;
  }
}
