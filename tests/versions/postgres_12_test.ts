// Everything that the collectors promise, on PostgreSQL 12.
import { testVersion } from "./version.ts";

testVersion(12);
