"""The pages of people, and the school's own fields."""
