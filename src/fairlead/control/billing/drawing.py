"""Documents as PDF, and the pen that writes them. The same document is always the same bytes."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from fairlead.control.billing.documents import Document
from fairlead.control.billing.words import day_text, dollars

if TYPE_CHECKING:
    from fpdf import FPDF

__all__ = ["Pen", "drawn", "opened"]

_MARGIN_MM: Final = 20
_HALF_MM: Final = 82
_LINE_MM: Final = 5.5
_AMOUNT_MM: Final = 35
_NUMBER_MM: Final = 30  # of a table
_TITLES: Final = {"receipt": "Receipt", "invoice": "Invoice"}
_PRETENDED: Final = "TEST PAYMENT. NO MONEY HAS MOVED. THIS IS NOT A RECEIPT."


def drawn(document: Document, *, font_file: str | None = None) -> bytes:
    """One page, or more if it must be. font_file: for other than Latin letters; without it, what cannot be
    written is left out."""
    title = f"{_TITLES[document.kind]} {document.number}"
    pen = opened(title, created_s=document.issued_ms / 1000, font_file=font_file)
    if document.is_pretended:
        pen.text(_PRETENDED, size=12)
        pen.gap()
    pen.text(title, size=18)
    pen.text(f"Date: {day_text(document.issued_ms)}")
    if document.reference:
        pen.text(f"Reference: {document.reference}")
    pen.gap()
    seller = document.seller
    pen.beside(
        _party("Seller", seller.name, seller.address, seller.tax_ids),
        _party("Buyer", document.buyer_name, document.buyer_address, document.buyer_tax_ids),
    )
    pen.gap()
    for line in document.lines:
        pen.amount(line.text, dollars(line.cents))
    pen.rule()
    pen.amount("Total (USD)", dollars(document.total_cents))
    pen.gap()
    for note in (*document.notes, *seller.tax_lines):
        pen.text(note)
    return pen.finished()


def opened(title: str, *, created_s: float, font_file: str | None = None) -> Pen:
    """A pen at the beginning of the first page. font_file: as in `drawn`."""
    # Imported here: it is needed seldom, and takes a while.
    from fpdf import FPDF

    page = FPDF(format="A4")
    page.set_creation_date(datetime.fromtimestamp(created_s, UTC))
    page.set_producer("Fairlead")
    page.set_title(title)
    page.set_margin(_MARGIN_MM)
    page.set_auto_page_break(auto=True, margin=_MARGIN_MM)
    if font_file is not None:
        page.add_font("text", fname=font_file)
    page.add_page()
    return Pen(page, "text" if font_file is not None else None)


def _party(title: str, name: str, address: str, tax_ids: Sequence[str]) -> list[str]:
    lines = [title, name, *address.splitlines()]
    return lines + [f"Tax ID: {one}" for one in tax_ids]


class Pen:
    """Writes down pages. font: None: one that every reader has, for Latin letters."""

    def __init__(self, page: FPDF, font: str | None) -> None:
        self._page = page
        self._font = font

    def text(self, text: str, *, size: int = 10) -> None:
        self._set(size)
        self._page.multi_cell(
            0, _LINE_MM * size / 10, self._written(text), new_x="LMARGIN", new_y="NEXT", align="L"
        )

    def beside(self, left: Sequence[str], right: Sequence[str]) -> None:
        """Two columns; long lines are broken."""
        self._set(10)
        top = self._page.get_y()
        ends = []
        for x, lines in ((_MARGIN_MM, left), (_MARGIN_MM + _HALF_MM + 6, right)):
            self._page.set_xy(x, top)
            for line in lines:
                self._page.set_x(x)
                self._page.multi_cell(
                    _HALF_MM, _LINE_MM, self._written(line), new_x="LEFT", new_y="NEXT", align="L"
                )
            ends.append(self._page.get_y())
        self._page.set_xy(_MARGIN_MM, max(ends))

    def amount(self, text: str, amount: str) -> None:
        self._set(10)
        top = self._page.get_y()
        width = self._page.epw - _AMOUNT_MM
        self._page.multi_cell(
            width, _LINE_MM, self._written(text), new_x="LMARGIN", new_y="NEXT", align="L"
        )
        end = self._page.get_y()
        self._page.set_xy(_MARGIN_MM + width, top)
        self._page.cell(_AMOUNT_MM, _LINE_MM, amount, align="R")
        self._page.set_xy(_MARGIN_MM, end)

    def row(self, cells: Sequence[str]) -> None:
        """A name, cut to its column, and numbers."""
        self._set(9)
        name, *numbers = cells
        room = self._page.epw - _NUMBER_MM * len(numbers)
        written = self._written(name)
        while written and self._page.get_string_width(written) > room - 2:
            written = written[:-1]
        self._page.cell(room, _LINE_MM, written)
        for number in numbers:
            self._page.cell(_NUMBER_MM, _LINE_MM, number, align="R")
        self._page.ln(_LINE_MM)

    def finished(self) -> bytes:
        return bytes(self._page.output())

    def rule(self) -> None:
        y = self._page.get_y() + 1
        self._page.line(_MARGIN_MM, y, _MARGIN_MM + self._page.epw, y)
        self._page.set_y(y + 1)

    def gap(self) -> None:
        self._page.ln(_LINE_MM)

    def _set(self, size: int) -> None:
        self._page.set_font(self._font or "Helvetica", size=size)

    def _written(self, text: str) -> str:
        if self._font is not None:
            return text
        return "".join(_latin(letter) for letter in text)


def _latin(letter: str) -> str:
    """As the built-in font can write it; without its accent, if that is what it cannot."""
    for form in (letter, unicodedata.normalize("NFKD", letter)):
        kept = form.encode("latin-1", "ignore").decode("latin-1")
        if kept:
            return kept
    return "?"
