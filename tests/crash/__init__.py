"""Real processes that are killed at any moment."""
