// One rung's work, in order, beside the other rungs'. Why not one common loop: the largest rung would make all others
// wait for it, and the decoder too. Why bounded: a rung that cannot keep up holds 1.4 MB of picture per waiting frame.

/** Runs jobs one after the other; `push` waits while too many are ahead. The first error ends the queue: it rejects every
 *  later call, and jobs behind it are dropped through their `drop`. */
export class JobQueue {
  readonly #waitingMax: number;
  readonly #jobs: { run: () => Promise<void>; drop: () => void }[] = [];
  #running: Promise<void> | null = null;
  #room: (() => void)[] = [];
  #failure: { error: unknown } | null = null;

  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax;
  }

  get waiting(): number {
    return this.#jobs.length;
  }

  /** Resolves when the job is queued. @param drop called instead of `run` when the queue has failed */
  async push(run: () => Promise<void>, drop: () => void = () => {}): Promise<void> {
    while (this.#jobs.length >= this.#waitingMax && this.#failure === null)
      await new Promise<void>((resolve) => this.#room.push(resolve));
    if (this.#failure !== null) {
      drop();
      throw this.#failure.error;
    }
    this.#jobs.push({ run, drop });
    this.#running ??= this.#work();
  }

  /** Resolves when all that was pushed is done. */
  async idle(): Promise<void> {
    await this.#running;
    if (this.#failure !== null) throw this.#failure.error;
  }

  /** Drops what waits; resolves when the running job has settled. Never rejects. */
  async abandon(reason: unknown): Promise<void> {
    this.#failure ??= { error: reason };
    this.#dropAll();
    await this.#running;
  }

  async #work(): Promise<void> {
    for (let job = this.#jobs.shift(); job !== undefined; job = this.#jobs.shift()) {
      this.#wake();
      try {
        await job.run();
      } catch (error) {
        this.#failure ??= { error };
        this.#dropAll();
      }
    }
    this.#running = null;
    this.#wake();
  }

  #dropAll(): void {
    for (const { drop } of this.#jobs.splice(0)) drop();
    this.#wake();
  }

  #wake(): void {
    const waiters = this.#room;
    this.#room = [];
    for (const resolve of waiters) resolve();
  }
}
