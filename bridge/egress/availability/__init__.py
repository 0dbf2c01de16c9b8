"""Whether a mailbox can be sent from at the moment, and what health says of it."""
