"""What is on the queues: payloads by name and version, their schemas, and the topology."""
