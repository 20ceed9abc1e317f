"""What people type into an address or a form, made safe for a database: a number, a text to search for."""

LONGEST_NUMBER = 18  # digits: every number of so many fits a column of 64 bits
LONGEST_SEARCH = 100  # characters


def number(typed: str, digits: int = LONGEST_NUMBER) -> int | None:
    """0 or more, in ASCII digits; None for anything else, and for a number of more digits."""
    if typed.isascii() and typed.isdecimal() and len(typed) <= digits:
        return int(typed)
    return None


def search_text(typed: str, longest: int = LONGEST_SEARCH) -> str:
    return without_nul(typed).strip()[:longest]


def without_nul(typed: str) -> str:
    """PostgreSQL refuses a text with a NUL."""
    return typed.replace("\0", "")
