/** `<a href="/a/page" data-dialog="id">` opens that `<dialog>`; without scripts one goes to the page. */

export function startDialogs(): void {
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    const opener = target.closest<HTMLElement>("[data-dialog]");
    if (opener !== null) {
      const dialog = document.getElementById(opener.dataset["dialog"] ?? "");
      if (dialog instanceof HTMLDialogElement) {
        event.preventDefault();
        if (!dialog.open) dialog.showModal();
      }
      return;
    }
    const closer = target.closest<HTMLElement>("[data-dialog-close]");
    if (closer !== null) {
      event.preventDefault();
      closer.closest("dialog")?.close();
      return;
    }
    // On the backdrop: the dialog itself, beside its panel.
    if (target instanceof HTMLDialogElement) target.close();
  });
}
