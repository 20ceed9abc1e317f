"""How the templates are written."""

import re
from pathlib import Path

TEMPLATES = Path(__file__).parent.parent / "templates"
LONGEST = 160
# Long lines whose white space a person or a script would see; a comment in the file says which.
KEPT_WHOLE = {
    "django/forms/widgets/select.html",
    "integrations/settings_pages/simulator.html",
    "mailings/composing/_meter.html",
    "mailings/composing/_phone.html",
    "mailings/notifications/_notification_meter.html",
}
SENTENCE = re.compile(r"{% blocktranslate\b(.*?)%}(.*?){% endblocktranslate %}", re.DOTALL)


def test_lines_are_short_enough_to_review() -> None:
    long = {
        path.relative_to(TEMPLATES).as_posix()
        for path in TEMPLATES.rglob("*.html")
        if any(len(line) > LONGEST for line in path.read_text().splitlines())
    }
    assert long == KEPT_WHOLE


def test_a_sentence_on_several_lines_is_trimmed() -> None:
    """Without that, its line breaks would stand in the message that is translated."""
    untrimmed = [
        f"{path.relative_to(TEMPLATES)}: {sentence.strip()}"
        for path in TEMPLATES.rglob("*.html")
        for options, sentence in SENTENCE.findall(path.read_text())
        if "\n" in sentence and "trimmed" not in options.split()
    ]
    assert untrimmed == []
