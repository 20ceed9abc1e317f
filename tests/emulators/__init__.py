"""Real HTTP servers that answer as the SMS services do."""
