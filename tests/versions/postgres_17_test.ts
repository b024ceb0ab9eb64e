// Everything that the collectors promise, on PostgreSQL 17.
import { testVersion } from "./version.ts";

testVersion(17);
