"""The templates: everything is escaped, what is undefined is an error, macros are at hand as `ui`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fairlead.web.pages import shown

__all__ = ["TEMPLATES", "templates"]

TEMPLATES: Final = Path(__file__).parents[1] / "templates"


@cache
def templates() -> Environment:
    """Made once: its parts come from the package's own files, and nothing of a request stays in it."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,  # all of them; there are some dozens
    )
    environment.filters.update(
        {name: getattr(shown, name) for name in shown.__all__ if name.islower()}
    )
    environment.globals["ui"] = _macros(environment)
    return environment


def _macros(environment: Environment) -> SimpleNamespace:
    """Every macro of `components/`, under its own name."""
    found: dict[str, object] = {}
    for path in sorted((TEMPLATES / "components").glob("*.html")):
        module = environment.get_template(f"components/{path.name}").module
        for name, value in vars(module).items():
            if name.startswith("_"):
                continue
            assert name not in found, f"two macros are named {name}"
            found[name] = value
    return SimpleNamespace(**found)
