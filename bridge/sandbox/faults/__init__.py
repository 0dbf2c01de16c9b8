"""What can go wrong on purpose: rules say when, a table of kinds says what, effects do it to an answer."""
