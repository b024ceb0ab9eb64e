// What the agent's start is measured against: nothing at all.
