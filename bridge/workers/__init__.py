"""What carries the mail: workers see ports, never vendors."""
