"""The catalogue in force: the seed, the operator's additions, what local engines offer."""
