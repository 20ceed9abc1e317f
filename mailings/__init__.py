"""The product: mailings and notifications, from the text to the statistics."""
