"""An Exchange that runs on a laptop: Entra, EWS, SMTP, and an admin API to look behind the curtain."""
