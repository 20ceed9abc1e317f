"""The names of the periodic jobs, and of parts of some of them, in words for people."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

WORDS: dict[str, Promise] = {
    "start": _("beginning with mailings"),
    "prepare": _("drawing up lists of recipients"),
    "watch": _("looking for people who have come under a rule"),
    "hand_over": _("handing messages over to the SMS service"),
    "notify": _("sending notifications and tests"),
    "process_receipts": _("taking in delivery receipts and replies"),
    "process_clicks": _("counting clicks"),
    "settle": _("bringing mailings to their end"),
    "sweep": _("stopping the messages of cancelled mailings"),
    "judge_waves": _("judging first waves"),
    "recall": _("asking messages back from the SMS service"),
    "take_back": _("asking messages back from the SMS service"),
    "recover": _("clearing up after an interrupted hand-over"),
    "reconcile": _("asking the SMS service what became of messages"),
    "look_up": _("asking the SMS service what became of messages"),
    "conclude": _("deciding by what the SMS service said of messages"),
    "simulate": _("writing the simulator's receipts"),
    "refresh_balances": _("asking for balances"),
    "advance_epoch": _("noting how far sending has come"),
    "ask_books": _("asking the SMS services what they have sent since a copy was made"),
    "mend": _("putting right what a wrong clock has written"),
    "mend_batches": _("putting right what a wrong clock has written"),
    "mend_send_windows": _("putting right what a wrong clock has written"),
    "forget": _("deleting old receipts"),
    "forget_messages": _("removing the messages of mailings that ended long ago"),
    "forget_sessions": _("deleting sessions that have ended"),
    "forget_simulated": _("deleting old messages of the simulator"),
}


def words(job: str) -> Promise | str:
    return WORDS.get(job, job)
