"""How many examples a long property of the database is tried with."""

import os

ON_SQLITE = not os.environ.get("DATABASE_URL")


def examples(number: int) -> int:
    """All on SQLite. A quarter on PostgreSQL, where they take as long again: orders of steps are tried
    there, and whatever differs in SQL shows in the first few.
    """
    return number if ON_SQLITE else number // 4
