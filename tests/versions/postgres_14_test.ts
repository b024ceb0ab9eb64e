// Everything that the collectors promise, on PostgreSQL 14.
import { testVersion } from "./version.ts";

testVersion(14);
