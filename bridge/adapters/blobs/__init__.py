"""Blob stores: directories by the operating system alone, object stores by obstore."""
