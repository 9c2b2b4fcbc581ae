"""Lists on standard output: aligned for people, tab-separated for programs, or JSON."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import click

__all__ = ["print_json", "print_rows"]


def print_rows(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A terminal gets a table with headings; a pipe gets bare tab-separated lines."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row))
        return
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in (headings, *rows):
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def print_json(rows: Sequence[Mapping[str, object]]) -> None:
    """One JSON array, one row a line."""
    import msgspec

    lines = ",\n".join(msgspec.json.encode(row).decode() for row in rows)
    click.echo(f"[\n{lines}\n]" if rows else "[]")
