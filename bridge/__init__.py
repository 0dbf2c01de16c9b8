"""The Exchange mail bridge: carries mail between Exchange mailboxes and RabbitMQ."""

__version__ = "0.1.0"
