"""From a queue to Exchange, in the order in which it happens."""
