"""
Exchange Web Services on top of the store.

`hooks` says what the shell around it supplies, `service.EwsService` is what the shell mounts on its HTTPS server.
"""
