"""Short links: redirects, clicks and signing in by link."""
