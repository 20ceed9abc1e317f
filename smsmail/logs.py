"""Formats log lines. An error is logged with its classes and places, never its message, because
databases and parsers tend to quote the row or text that they failed on.
"""

import logging
import traceback
from types import TracebackType

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class Formatter(logging.Formatter):
    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802 - logging's name
        if ei[1] is None:
            return ""
        told: list[str] = []
        error: BaseException | None = ei[1]
        while error is not None:
            told = [*_told(error), *told]
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "".join(told).rstrip()


def _told(error: BaseException) -> list[str]:
    kind = type(error)
    return [*traceback.format_tb(error.__traceback__), f"{kind.__module__}.{kind.__qualname__}\n"]
