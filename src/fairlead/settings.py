"""Settings: one frozen value, read once from file and environment."""
