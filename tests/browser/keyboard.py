"""Somebody without a mouse: everything by keys, and at every step the focus is where one can see it."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

STOPS_MAX = 150  # of the longest page, with its filters

# What is wrong with where the focus is; "" is nothing. A ring may be drawn around a label or a group instead.
_WRONG = """() => {
    const it = document.activeElement;
    if (it === null || it === document.body) return "";
    const name = it.outerHTML.slice(0, 120);
    const own = it.getBoundingClientRect();
    // A choice may be hidden behind the label that stands for it.
    const shown = own.width < 2 && it.labels?.length > 0 ? it.labels[0] : it;
    const rings = [shown, it, it.closest("label"), it.closest("form")];
    const isRinged = rings.some(one => {
        if (one === null) return false;
        const { outlineStyle, outlineWidth } = getComputedStyle(one);
        return outlineStyle !== "none" && parseFloat(outlineWidth) > 0;
    });
    if (!isRinged) return `nothing shows that the focus is on ${name}`;
    const box = shown.getBoundingClientRect();
    if (box.width < 2 || box.height < 2) return `one cannot see ${name}`;
    const isSeen = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
    if (!isSeen) return `out of sight: ${name}`;
    const dialog = document.querySelector("dialog[open]");
    if (dialog !== null && !dialog.contains(it)) return `behind a dialog: ${name}`;
    return "";
}"""


class Keyboard:
    def __init__(self, page: Page) -> None:
        self._page = page

    def press(self, *keys: str) -> None:
        for key in keys:
            self._page.keyboard.press(key)

    def write(self, text: str) -> None:
        """In place of what stands in the field."""
        self.press("ControlOrMeta+a", "Backspace")
        self._page.keyboard.type(text)

    def reach(self, goal: Locator, *, key: str = "Tab") -> None:
        """Go on, from stop to stop."""
        expect(goal).to_be_visible()
        for _ in range(STOPS_MAX):
            self.step(key)
            if goal.evaluate("it => it === document.activeElement"):
                return
        raise AssertionError(f"no way leads to {goal}")

    def step(self, key: str = "Tab") -> None:
        self.press(key)
        wrong = self._page.evaluate(_WRONG)
        assert wrong == "", wrong

    def follow(self, goal: Locator) -> None:
        self.reach(goal)
        self.press("Enter")

    def fill(self, field: Locator, text: str) -> None:
        self.reach(field)
        self.write(text)

    @property
    def is_nowhere(self) -> bool:
        """Whether what was pressed is gone, and the focus with it."""
        return bool(self._page.evaluate("document.activeElement === document.body"))

    def walk_through(self) -> None:
        """The whole page, from its first stop until it begins anew: nothing holds the focus for ever."""
        first = self._page.get_by_role("link", name="Skip to content")
        self.reach(first)
        for _ in range(STOPS_MAX):
            self.step()
            if self.is_nowhere or first.evaluate("it => it === document.activeElement"):
                return
        raise AssertionError("a page without an end")
