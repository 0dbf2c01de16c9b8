"""The machine: its clock, its network, its proxies, and the process that parses large mails."""
