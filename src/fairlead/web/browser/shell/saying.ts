/** Says something to those who listen to the page instead of looking at it. */

const SAID_MS = 1600; // then it is taken away, so that nobody comes across it while reading on

let clearing: number | undefined;

export function say(text: string): void {
  const status = document.getElementById("status");
  if (status === null) return;
  status.textContent = text;
  window.clearTimeout(clearing);
  clearing = window.setTimeout(() => (status.textContent = ""), SAID_MS);
}
