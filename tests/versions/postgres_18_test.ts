// Everything that the collectors promise, on PostgreSQL 18.
import { testVersion } from "./version.ts";

testVersion(18);
