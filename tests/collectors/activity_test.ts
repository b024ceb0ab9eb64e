// What the collector makes of the sessions of real servers, the oldest and the newest.
import { testActivity } from "../contracts/activity.ts";

testActivity(12);
testActivity(18);
