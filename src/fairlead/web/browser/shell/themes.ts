/** The button that goes from the system's theme to light, to dark, and round again. */

type Theme = "system" | "light" | "dark";

const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const SAID: Record<Theme, string> = { system: "as the system has it", light: "light", dark: "dark" };

export function startThemes(): void {
  const buttons = document.querySelectorAll<HTMLButtonElement>("[data-theme-switch]");
  show(buttons, current());
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const next = NEXT[current()];
      keep(next);
      show(buttons, next);
      document.dispatchEvent(new CustomEvent("themechange"));
    });
  }
}

function current(): Theme {
  const theme = document.documentElement.dataset["theme"];
  return theme === "light" || theme === "dark" ? theme : "system";
}

function keep(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
  try {
    if (theme === "system") localStorage.removeItem("theme");
    else localStorage.setItem("theme", theme);
  } catch {
    // Storage is forbidden: it lasts until the next page.
  }
}

function show(buttons: Iterable<HTMLButtonElement>, theme: Theme): void {
  for (const button of buttons) {
    button.dataset["themeSwitch"] = theme;
    button.setAttribute("aria-label", `Theme: ${SAID[theme]}. Change it`);
    button.title = `Theme: ${SAID[theme]}`;
  }
}
