"""Files that the service keeps between requests."""
