/** Before anything is painted: the theme that was chosen here, if one was. Everybody else has the system's. */

const chosen = ((): string | null => {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null; // storage is forbidden: the system's it is
  }
})();
if (chosen === "light" || chosen === "dark") document.documentElement.dataset["theme"] = chosen;
document.documentElement.classList.add("scripted");
