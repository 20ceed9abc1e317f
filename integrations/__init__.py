"""Everything that knows the name of an SMS service."""
