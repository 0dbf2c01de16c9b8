"""What `bridge check` does: each part of the way is tried, and what is wrong is told with what to do about it."""
