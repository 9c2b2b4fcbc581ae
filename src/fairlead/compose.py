"""The only place that builds real clients and clocks and plugs them into ports."""
