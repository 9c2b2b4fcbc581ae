/** `<form data-auto>` sends itself when a choice changes; its button is for those without scripts. */

const SENT_MS = 8000; // what is sent twice after that is meant twice: as the download of a file

export function startForms(): void {
  // Whoever made a mistake is where it was.
  document.querySelector<HTMLElement>("form[method=post] [aria-invalid=true]")?.focus();
  document.addEventListener("change", (event) => {
    const field = event.target as HTMLElement;
    const form = field.closest<HTMLFormElement>("form[data-auto]");
    // htmx listens to its own forms.
    if (form !== null && !form.hasAttribute("hx-get") && field.matches("select, input[type=checkbox], input[type=radio]"))
      form.requestSubmit();
  });
  // The address of a list says what was chosen, not what was not.
  document.addEventListener("htmx:configRequest", (event) => {
    if (!(event.target as Element).matches("form[data-tidy]")) return;
    const { formData } = (event as CustomEvent<{ formData: FormData }>).detail;
    const kept = [...formData].filter(([, value]) => value !== "");
    for (const name of new Set(formData.keys())) formData.delete(name);
    for (const [name, value] of kept) formData.append(name, value);
  });
  // A form is sent once: a double click is no second purchase.
  document.addEventListener("submit", (event) => {
    const form = event.target as HTMLFormElement;
    if (form.method !== "post" || event.defaultPrevented) return;
    if (form.dataset["sent"] !== undefined) event.preventDefault();
    form.dataset["sent"] = "";
    window.setTimeout(() => delete form.dataset["sent"], SENT_MS);
  });
  // One comes back to the page as it was left.
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll<HTMLFormElement>("form[data-sent]")) delete form.dataset["sent"];
  });
}
