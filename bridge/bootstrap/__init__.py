"""Chooses adapters and joins them to workers; only which blob store a URL means is for `adapters/blobs/` to say."""
