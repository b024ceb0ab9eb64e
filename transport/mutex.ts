/**
 * One at a time, in the order of asking.
 *
 * @module
 */

/** A queue of tasks of which one runs at a time. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs the task after all that were given before it; answers as the task does. */
  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task, task);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
