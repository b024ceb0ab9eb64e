/**
 * The budgets: what each figure may be, as a ratio wherever there is a reference, so that a slow machine is not a
 * failure. docs/performance.md has the reasons.
 *
 * @module
 */

/** What is held against a bound: the ratio to the reference, or the figure's own median, least or most. */
export interface Budget {
  of: "ratio" | "median" | "least" | "most";
  atMost?: number;
  atLeast?: number;
}

const sizes = ["small", "middle", "large"] as const;

/** By the name of the figure. */
export const budgets: Readonly<Record<string, Budget>> = {
  ...forEach(sizes, (size) => ({
    [`cycle/${size}/statements sent`]: { of: "most", atMost: 6 },
    [`cycle/${size}/server time`]: { of: "ratio", atMost: 1.2 },
    [`cycle/${size}/agent CPU`]: { of: "ratio", atMost: 2.5 },
  })),
  ...forEach(["small", "middle"], (size) => ({
    [`cycle/${size}/statements sent between cycles, without probes`]: { of: "most", atMost: 0 },
  })),
  "memory/idle": { of: "ratio", atMost: 1.6 },
  "memory/after cycles": { of: "median", atMost: 110 },
  "memory/peak of cycles": { of: "median", atMost: 150 },
  "memory/log at full speed, beyond idle": { of: "median", atMost: 64 },
  "memory/drain of a full buffer, beyond idle": { of: "median", atMost: 64 },
  "logs/jsonlog/parse only": { of: "ratio", atLeast: 0.4 },
  "logs/stderr/parse only": { of: "ratio", atLeast: 0.2 },
  "logs/csvlog/parse only": { of: "ratio", atLeast: 0.25 },
  ...forEach(["stderr", "csvlog", "jsonlog"], (format) => ({
    [`logs/${format}/end to end`]: { of: "ratio", atLeast: 0.05 },
    [`logs/${format}/end to end beside pgbadger`]: { of: "ratio", atLeast: 20 },
  })),
  "logs/delay with correlation id": { of: "most", atMost: 1.5 },
  "logs/delay without": { of: "most", atMost: 12 },
  ...forEach(["4 KB", "32 KB", "250 KB"], (size) => ({
    [`outbox/${size}/stored`]: { of: "ratio", atLeast: 0.6 },
    [`outbox/${size}/written per byte stored`]: { of: "median", atMost: 3 },
  })),
  "governor/server time of a cycle in trouble, mean": { of: "ratio", atMost: 0.5 },
  "start/to the first document stored, less one connect": { of: "ratio", atMost: 4 },
};

function forEach<T>(items: readonly T[], make: (item: T) => Record<string, Budget>): Record<string, Budget> {
  return Object.assign({}, ...items.map(make));
}
