// Everything that the collectors promise, on PostgreSQL 15.
import { testVersion } from "./version.ts";

testVersion(15);
