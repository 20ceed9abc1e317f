"""Where services report deliveries and replies: stored as they come, read later."""
