"""Periodic jobs: what runs, whether it runs, and what could not be done."""
