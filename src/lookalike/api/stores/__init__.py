"""What the service keeps between requests."""
