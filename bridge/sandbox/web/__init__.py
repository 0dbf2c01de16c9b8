"""The sandbox's web page: its files, what it asks the admin server for, and the headers that keep hostile mail out."""
