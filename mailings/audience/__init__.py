"""Who gets a mailing, who does not, and why."""
