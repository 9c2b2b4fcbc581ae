"""The numbers of charts, as their tables have them."""

from __future__ import annotations

from fairlead.web.pages.charts import chart


def test_cells_have_the_value_that_is_drawn_and_the_text_that_is_read() -> None:
    written = {None: "?", 1.5: "$1.50 & more", 0: "<b>0</b>"}
    drawn = chart(
        "Day", ("a", "b", "c"), [(0, "Jan 1", (1.5, None, 0))], written=written.__getitem__
    )
    assert drawn.rows[0].cells == (
        '<td class="numeric" data-value="1.5">$1.50 &amp; more</td>'
        '<td class="numeric" data-value="">?</td>'
        '<td class="numeric" data-value="0">&lt;b&gt;0&lt;/b&gt;</td>'
    )
    assert chart("Day", (), [(0, "Jan 1", ())], written=str).rows[0].cells == ""
