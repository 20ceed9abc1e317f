"""Tunes Python's garbage collector for a worker."""

import gc


def tune() -> None:
    """Call it once when a worker process has imported everything.

    A worker makes hundreds of thousands of rows and tuples, hardly any of them in circles, and by default the
    collector looks for circles after every 700 new objects, and often among all that was ever imported.
    """
    gc.collect()
    gc.freeze()  # what was imported stays: it is never looked at again
    gc.set_threshold(100_000, 50, 50)
