"""Tokens of short links: fixed in width, spelt in one way only, and nothing of others is believed."""

import hmac
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailings.text import tokens
from mailings.text.tokens import ALPHABET, Purpose, Token

MESSAGES = st.integers(0, tokens.NEWEST)
POSITIONS = st.integers(0, tokens.POSITIONS - 1)
PURPOSES = st.sampled_from(list(Purpose))


@given(MESSAGES, POSITIONS, PURPOSES)
def test_what_is_made_is_read(message: int, position: int, purpose: Purpose) -> None:
    token = tokens.make(message, position, purpose)
    assert len(token) == tokens.WIDTH[purpose]
    assert tokens.read(token) == Token(message, position, purpose)


def test_there_is_room_and_the_signatures_are_long_enough() -> None:
    assert tokens.NEWEST > 10**10
    assert 62 ** tokens.SIGNATURE[Purpose.SIGN_IN] > 2**47
    assert 62 ** tokens.SIGNATURE[Purpose.CLICK] > 2**29
    assert tokens.WIDTH == {Purpose.CLICK: 12, Purpose.SIGN_IN: 15}


@pytest.mark.parametrize(
    ("message", "position"), [(tokens.NEWEST + 1, 0), (-1, 0), (1, 62), (1, -1)]
)
def test_what_has_no_room_is_not_made(message: int, position: int) -> None:
    with pytest.raises(ValueError, match="no token has room"):
        tokens.make(message, position, Purpose.CLICK)


@given(MESSAGES, POSITIONS, PURPOSES)
@settings(max_examples=20)
def test_any_other_character_anywhere_is_refused(
    message: int, position: int, purpose: Purpose
) -> None:
    token = tokens.make(message, position, purpose)
    for place, char in enumerate(token):
        for other in ALPHABET.replace(char, "") + "-_ é٣\0":
            assert tokens.read(token[:place] + other + token[place + 1 :]) is None


@given(st.text(ALPHABET, min_size=12, max_size=12) | st.text(ALPHABET, min_size=15, max_size=15))
@settings(max_examples=2000)
def test_a_guess_is_refused(token: str) -> None:
    assert tokens.read(token) is None


@given(st.text(max_size=20))
def test_nonsense_is_refused(token: str) -> None:
    assert tokens.read(token) is None


def test_no_purpose_stands_for_another() -> None:
    for message in range(2000):
        click = tokens.make(message, 1, Purpose.CLICK)
        sign_in = tokens.make(message, 1, Purpose.SIGN_IN)
        assert sign_in[: tokens.PAYLOAD] == click[: tokens.PAYLOAD]
        assert tokens.read(sign_in[:12]) is None
        assert tokens.read(sign_in[: tokens.PAYLOAD] + sign_in[-5:]) is None
        assert tokens.read(click + "000") is None
        assert tokens.read(click[: tokens.PAYLOAD] + "000" + click[-5:]) is None


def test_longer_and_shorter_ones_are_refused() -> None:
    token = tokens.make(5, 1, Purpose.SIGN_IN)
    for other in (token[:-1], token + "0", "0" + token, token + "\n", f" {token}", ""):
        assert tokens.read(other) is None


def test_a_former_key_is_still_believed_and_no_longer_signs(settings: Any) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "first", []
    old = tokens.make(5, 1, Purpose.SIGN_IN)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "second", ["other", "first"]
    new = tokens.make(5, 1, Purpose.SIGN_IN)
    assert new != old
    assert tokens.read(old) == tokens.read(new) == Token(5, 1, Purpose.SIGN_IN)
    settings.SECRET_KEY_FALLBACKS = []
    assert tokens.read(old) is None
    assert tokens.read(new) is not None


def test_every_key_is_tried_also_after_one_that_fits(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "first", ["second", "third"]
    good = tokens.make(5, 1, Purpose.CLICK)
    weighed: list[int] = []
    compare: Callable[..., bool] = hmac.compare_digest

    def counted(*both: Any) -> bool:
        weighed.append(1)
        return compare(*both)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    for token in (good, "0" * 12, "0" * 15, "", "nonsense"):
        weighed.clear()
        tokens.read(token)
        assert len(weighed) == 3, token
