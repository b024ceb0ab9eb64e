import { testLocks } from "../contracts/locks.ts";
testLocks(18);
