"""Budgets that cannot be overshot, however many calls run in parallel on however many machines. Pure.

types.py says what a budget is; lending.py, what the store gives to a process; slices.py, what a process does
with it. The words are in docs/glossary.md, the reasons in docs/decisions/0025-leased-slices.md.
"""
