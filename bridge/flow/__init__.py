"""Waiting, back-off and budgets: nothing else decides how long to wait."""
