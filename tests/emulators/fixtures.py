"""Fixtures for emulated providers; registered in tests/conftest.py."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.emulators.seventech import SevenTechEmulator
from tests.emulators.smsc import SmscEmulator
from tests.emulators.twilio import TwilioEmulator


@pytest.fixture
def smsc_emulator(settings: Any) -> Iterator[SmscEmulator]:
    """SMSC on loopback; our adapter goes there. It reports to emulator.callback, when that is set."""
    with SmscEmulator() as emulator:
        settings.PROVIDER_URLS = settings.PROVIDER_URLS | {"smsc": emulator.url}
        yield emulator


@pytest.fixture
def seventech_emulator(settings: Any) -> Iterator[SevenTechEmulator]:
    """SevenTech on loopback; our adapter goes there. It reports to the address of each request."""
    with SevenTechEmulator() as emulator:
        settings.PROVIDER_URLS = settings.PROVIDER_URLS | {"seventech": emulator.url}
        yield emulator


@pytest.fixture
def twilio_emulator(settings: Any) -> Iterator[TwilioEmulator]:
    """Twilio on loopback; our adapter goes there. It reports to the address of each request, on this
    machine too, which the real one refuses.
    """
    with TwilioEmulator(loopback=True) as emulator:
        settings.PROVIDER_URLS = settings.PROVIDER_URLS | {"twilio": emulator.url}
        yield emulator
