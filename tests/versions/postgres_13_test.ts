// Everything that the collectors promise, on PostgreSQL 13.
import { testVersion } from "./version.ts";

testVersion(13);
