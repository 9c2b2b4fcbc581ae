"""Which endpoints may serve a request, in which order, and why not the others. Pure.

Start with deciding.py: all steps in their order. types.py is the vocabulary.
"""
