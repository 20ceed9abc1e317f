"""Which service sends is shown by connecting and disconnecting them in the browser, and proven by the
emulators' journals: a mailing goes through the first connected one, and only through it.
"""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from mailings.lifecycle import transitions
from mailings.models import Mailing, Message
from tests import factories
from tests.browser.test_story import sign_in
from tests.emulators.seventech import SevenTechEmulator
from tests.emulators.smsc import SmscEmulator
from tests.processes import wait_until
from users.models import User

pytestmark = pytest.mark.browser


def connect(page: Page, title: str, **fields: str) -> None:
    page.get_by_role("link", name=f"Connect {title}").click()
    for label, value in fields.items():
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Connect").click()
    expect(page.get_by_role("link", name="Disconnect")).to_be_visible()
    page.goto("/settings/integrations/")


def disconnect(page: Page, title: str) -> None:
    page.get_by_role("link", name=f"Settings {title}").click()
    page.get_by_role("link", name="Disconnect").click()
    page.get_by_role("dialog").get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("link", name="Disconnect")).to_be_hidden()
    page.goto("/settings/integrations/")


def send(name: str, owner: User) -> Mailing:
    """A mailing of three, until all of it has gone."""
    mailing = Mailing.objects.create(name=name, text="Hello", everyone=True)
    transitions.launch(mailing, owner)
    gone = Message.objects.filter(mailing=mailing, status__in=Message.TAKEN)
    wait_until(lambda: gone.count() == 3, 20, f"{name} has gone")
    return mailing


def test_the_first_connected_service_sends_and_the_other_says_what_it_waits_for(
    worker: None,
    open_page: Callable[..., Page],
    smsc_emulator: SmscEmulator,
    seventech_emulator: SevenTechEmulator,
) -> None:
    owner = factories.owner(language="en")
    factories.students(3, digits="77")
    page = open_page("/settings/integrations/")
    sign_in(page, owner)

    login = {
        "Login": "school",
        "Password": "made-up",
        "Sender name": "School",
        "Price of one SMS part": "2.5",
    }
    connect(page, "SevenTech", **login)
    send("Through SevenTech", owner)
    assert (len(seventech_emulator.accepted), len(smsc_emulator.accepted)) == (3, 0)

    connect(page, "SMSC", **login)
    expect(
        page.get_by_text(
            "SevenTech is connected but waits: SMSC has priority. "
            "To send through SevenTech, disconnect SMSC."
        )
    ).to_be_visible()
    send("Through SMSC", owner)
    assert (len(seventech_emulator.accepted), len(smsc_emulator.accepted)) == (3, 3)

    disconnect(page, "SMSC")
    expect(page.get_by_text("has priority")).to_be_hidden()
    send("Through SevenTech again", owner)
    assert (len(seventech_emulator.accepted), len(smsc_emulator.accepted)) == (6, 3)
