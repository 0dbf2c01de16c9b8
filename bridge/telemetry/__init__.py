"""What the bridge tells about itself: events, metrics, health, log lines."""
