"""How short links look in a text that was sent, and how they are hidden."""

from typing import Any

import pytest

from integrations.short_domain import short_links
from integrations.short_domain.short_links import TextPiece

SIGNS_IN = "https://s.example.com/r/0000abC9xYz1234"
COUNTS = "http://127.0.0.1:8000/r/0000abC9xYz1"


def test_links_that_work_are_hidden_at_their_own_length() -> None:
    sent = f"Hello {SIGNS_IN}, ({COUNTS}). https://school.ru/r/abc"
    hidden = short_links.hidden(sent)
    assert hidden == (
        "Hello https://s.example.com/r/***************, (http://127.0.0.1:8000/r/************)."
        " https://school.ru/r/abc"
    )
    assert len(hidden) == len(sent)


@pytest.mark.parametrize("text", ["", "Hello", "https://school.ru/", "r/0000abC9xYz1234", "/r/"])
def test_a_text_without_them_stays_as_it_is(text: str) -> None:
    assert short_links.hidden(text) == text
    assert [piece for piece in short_links.pieces(text) if piece.link] == []


def test_a_text_is_cut_at_its_links() -> None:
    assert short_links.pieces(f"{SIGNS_IN} or {COUNTS}!") == [
        TextPiece("", False),
        TextPiece(SIGNS_IN, True),
        TextPiece(" or ", False),
        TextPiece(COUNTS, True),
        TextPiece("!", False),
    ]


def test_an_address_begins_with_the_short_domain(settings: Any) -> None:
    settings.SHORT_URL = "https://s.example.com"
    assert short_links.address("abc") == "https://s.example.com/r/abc"
