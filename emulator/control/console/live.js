// What happens in a team while the page is open: one stream of its calls, from which the panels are kept fresh.

const SETTLE_MS = 150; // a burst of calls refreshes a list once
const READS = /\.(list|get|content|search|explain|results|requests|result|api_key|me|public_content|batch_get)\w*$/;

/** Watches the calls of a team. Events: `call` (detail: the call), `change` (detail: set of resources), `state`. */
export class Live extends EventTarget {
  #address;
  #source = null;
  #changed = new Set();
  #timer;
  #connected = null; // null until it was the first time

  constructor(api) {
    super();
    this.#address = api.controlAddress("/requests/stream");
    // A browser has six connections to a host, for all its tabs together: a hidden tab closes its own.
    document.addEventListener("visibilitychange", () => (document.hidden ? this.close() : this.#open()));
    this.#open();
  }

  #open() {
    if (this.#source !== null) return;
    this.#source = new EventSource(this.#address);
    this.#source.addEventListener("open", () => this.#state(true));
    this.#source.addEventListener("error", () => this.#state(false));
    this.#source.addEventListener("call", (event) => this.#call(JSON.parse(event.data)));
    this.#source.addEventListener("missed", () => this.changed("everything")); // calls that came faster than they were read
  }

  /** Stops watching. */
  close() {
    this.#source?.close();
    this.#source = null;
    if (this.#connected) this.#connected = false;
  }

  /** Announces a change that is no call of `/v1`: of the clock, faults or limits. */
  changed(...resources) {
    for (const resource of resources) this.#changed.add(resource);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const detail = this.#changed;
      this.#changed = new Set();
      this.dispatchEvent(new CustomEvent("change", { detail }));
    }, SETTLE_MS);
  }

  /** Runs something when one of these resources has changed, until the signal. */
  onChange(resources, run, signal) {
    const listen = ({ detail }) => resources.some((each) => detail.has(each) || detail.has("everything")) && run();
    this.addEventListener("change", listen, { signal });
  }

  #call(call) {
    this.dispatchEvent(new CustomEvent("call", { detail: call }));
    if (call.faults.length) this.changed("faults");
    if (call.operation && call.outcome === "ok" && !READS.test(call.operation)) this.changed(call.operation.split(".")[0]);
  }

  #state(connected) {
    const again = connected && this.#connected === false;
    if (connected || this.#connected) this.#connected = connected;
    this.dispatchEvent(new CustomEvent("state", { detail: connected }));
    if (again) this.changed("everything"); // the changes in between were missed
  }
}
