// pg_stat_statements on real servers.
import { testStatements } from "../contracts/statements.ts";

for (const version of [12, 14, 17, 18] as const) testStatements(version);
