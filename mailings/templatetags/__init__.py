"""What templates show of mailings and of a restored copy."""
