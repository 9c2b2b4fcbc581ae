"""The only place that builds real clients and clocks and plugs them into ports.

Everything above is given what it needs; nothing above knows where it comes from. `serving.py` says what a
running Fairlead is made of.
"""
