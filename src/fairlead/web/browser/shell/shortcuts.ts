/** `/` goes to the search, as in most places where one searches. */

export function startShortcuts(): void {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target as HTMLElement;
    if (target.isContentEditable || target.matches("input, textarea, select")) return;
    const search = document.querySelector<HTMLInputElement>("[data-search]");
    if (search === null || search.offsetParent === null) return;
    event.preventDefault();
    search.focus();
    search.select();
  });
}
