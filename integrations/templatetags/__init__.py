"""What templates show of accounts and of money."""
