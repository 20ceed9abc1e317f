"""A client of SMSC after the form of its official one: everything in the address, answers as words
with commas (fmt=1), errors as "0,-N". In our own words; to judge the emulator by.
"""

from urllib.parse import quote
from urllib.request import urlopen

PASSWORD = "made-up"


class CommaClient:
    """Every answer is a list of words; an error is ["0" or an id, "-N"]."""

    def __init__(self, url: str, login: str = "school", word: str = "") -> None:
        self.url = url
        self.who = f"login={quote(login)}&psw={quote(word or PASSWORD)}&fmt=1&charset=utf-8"

    def ask(self, command: str, words: str = "") -> list[str]:
        query = f"{self.who}&{words}" if words else self.who
        with urlopen(f"{self.url}/sys/{command}.php?{query}", timeout=5) as answer:  # noqa: S310
            return str(answer.read().decode()).split(",")

    def send(self, phones: str, text: str, more: str = "") -> list[str]:
        """id, parts, cost, balance."""
        asked = f"cost=3&phones={quote(phones)}&mes={quote(text)}&translit=0&id=0"
        return self.ask("send", asked + more)

    def cost(self, phones: str, text: str) -> list[str]:
        """cost, parts."""
        return self.ask("send", f"cost=1&phones={quote(phones)}&mes={quote(text)}&translit=0")

    def status(self, message: str, phone: str, everything: int = 0) -> list[str]:
        """status, time, error; with everything six more words, the text last and with its commas."""
        found = self.ask("status", f"phone={quote(phone)}&id={message}&all={everything}")
        return found if len(found) < 9 else [*found[:8], ",".join(found[8:])]

    def balance(self) -> str | None:
        found = self.ask("balance")
        return found[0] if len(found) == 1 else None
