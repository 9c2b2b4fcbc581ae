"""Presets: named parts of requests that a workspace keeps, in versions."""
