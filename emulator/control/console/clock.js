// The time of the team, which runs on in the page between two answers of the emulator.

/** A team's clock as the page shows it. Event `set`: it was read again. */
export class TeamClock extends EventTarget {
  #api;
  #base = Date.now();
  #readAt = performance.now();
  frozen = false;
  offset = 0;

  constructor(api) {
    super();
    this.#api = api;
  }

  /** The team's time now, in milliseconds since the epoch. */
  now() {
    return this.frozen ? this.#base : this.#base + performance.now() - this.#readAt;
  }

  /** Reads the clock. */
  async read() {
    this.take(await this.#api.control("GET", "/clock"));
  }

  /** Does something to the clock: `advance`, `freeze`, `resume` or `reset`; the answer. */
  async set(verb, body) {
    const answer = await this.#api.control("POST", `/clock/${verb}`, { body });
    this.take(answer);
    return answer;
  }

  /** Sets the clock to what the emulator answered. */
  take({ now, frozen, offset_seconds }) {
    this.#base = Date.parse(now);
    this.#readAt = performance.now();
    Object.assign(this, { frozen, offset: offset_seconds });
    this.dispatchEvent(new Event("set"));
  }
}
