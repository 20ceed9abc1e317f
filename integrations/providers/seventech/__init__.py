"""SevenTech: requests, answers and codes."""
