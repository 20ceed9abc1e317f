"""What templates say of periodic jobs."""
