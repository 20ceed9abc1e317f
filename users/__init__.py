"""People, and what may be sent to them."""
