"""One folder for each technology; what a vendor's library does stays inside."""
