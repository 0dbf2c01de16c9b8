"""Exchange's notification streams: they say when to list a mailbox, and nothing rests on them."""
