"""
Exchange Web Services through exchangelib.

Of exchangelib the bridge uses the transport (sessions, NTLM and basic authentication, impersonation and anchor
headers) and the service base class. Answers are parsed here, strictly: the library's own parser repairs truncated
XML without a word and turns items into objects that lose what they do not know.
"""
