"""Doubles in memory for unit tests: they keep the ports' promises, and fail when told to."""
