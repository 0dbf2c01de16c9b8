"""What a worker process does beside carrying mail."""
