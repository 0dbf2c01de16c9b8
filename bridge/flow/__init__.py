"""Waiting, back-off and budgets."""
