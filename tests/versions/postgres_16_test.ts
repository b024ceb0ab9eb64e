// Everything that the collectors promise, on PostgreSQL 16.
import { testVersion } from "./version.ts";

testVersion(16);
