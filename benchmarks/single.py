"""Goals of a service that takes one message a request (Twilio's shape). one_by_one.py measures; the words of the
goals are here.
"""

from importlib import import_module
from typing import Any

from benchmarks.goals import Measured


def cpu_of_message() -> Measured:
    return Measured(float(_module().cpu_of_message()))


def beside_plain() -> Measured:
    return Measured(float(_module().beside_plain()))


def at_latency() -> Measured:
    """In percent of connections / latency."""
    return Measured(float(_module().at_latency()))


def _module() -> Any:
    return import_module("benchmarks.one_by_one")
