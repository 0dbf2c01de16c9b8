"""The only place that chooses adapters and joins them to workers."""
