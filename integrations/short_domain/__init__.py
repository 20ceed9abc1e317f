"""The short domain for links in messages, and the page that checks it."""
