"""What the owner decides after a copy of the database has been put back."""
