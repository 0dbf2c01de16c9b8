"""From the inbox to a queue, in the order in which it happens."""
