"""Fairlead: one self-hosted API in front of every large language model."""

from typing import Final

__all__ = ["__version__"]

# Beside pyproject.toml's, because reading the package's metadata takes longer than all else that
# `fairlead --version` does. tests/cli/test_commands.py keeps the two the same.
__version__: Final = "0.1.0"
