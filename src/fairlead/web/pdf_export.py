"""Documents as PDF, to be saved: they are of one account, so nobody on the way keeps them."""

from __future__ import annotations

from starlette.responses import Response

__all__ = ["pdf_answer"]


def pdf_answer(name: str, content: bytes) -> Response:
    """To be saved as a file of that name, which is ours and plain."""
    return Response(
        content,
        media_type="application/pdf",
        headers={
            "content-disposition": f'attachment; filename="{name}.pdf"',
            "cache-control": "private, no-store",
            "x-content-type-options": "nosniff",
        },
    )
