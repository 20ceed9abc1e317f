"""Which account sends now: connecting, cooldown, rate limit, balances and status."""
