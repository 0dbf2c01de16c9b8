"""
What a request may look like: the sandbox's own grammar of the EWS requests that it serves, and the check against it.

`messages` and `types` say it in a small language (`language` reads it), `simple` holds the kinds of text, `check`
walks a request. It refuses what Exchange's schema refuses; tests compare the two over many mutated requests.
"""
