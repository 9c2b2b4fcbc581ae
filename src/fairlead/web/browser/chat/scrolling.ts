/** Keeps the newest in view for who reads at the end, and leaves alone who has scrolled up. */

const NEAR_PX = 80;

export class Scrolling {
  readonly #log: HTMLElement;
  readonly #latest: HTMLElement;
  #follows = true;

  constructor(log: HTMLElement, latest: HTMLElement) {
    this.#log = log;
    this.#latest = latest;
    log.addEventListener("scroll", () => this.#look(), { passive: true });
    latest.addEventListener("click", () => this.toEnd());
  }

  toEnd(): void {
    this.#follows = true;
    this.grown();
  }

  grown(): void {
    if (this.#follows) this.#log.scrollTop = this.#log.scrollHeight;
    this.#look();
  }

  #look(): void {
    const below = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight;
    this.#follows = below < NEAR_PX;
    this.#latest.hidden = this.#follows;
  }
}
