"""When a request may be sent: its place among the others, and Exchange's rate."""
