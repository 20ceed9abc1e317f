"""What the pages of mailings show: figures, lists, progress and the calendar."""
