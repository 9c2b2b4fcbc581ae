"""The management and catalogue endpoints of the public API, under `/api/v1` and `/v1`."""
