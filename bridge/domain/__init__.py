"""Plain values and pure decisions: no input or output, no vendor, no clock of its own."""
