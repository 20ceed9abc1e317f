"""The main app: mailings, their messages, and how these reach people."""

from django.apps import AppConfig


class MailingsConfig(AppConfig):
    name = "mailings"

    def ready(self) -> None:
        from integrations.routing import logins
        from users.access import link_sessions
        from users.consent import confirmation, consent
        from users.consent.confirmation import CodeSender
        from users.consent.consent import Sending
        from users.people import own_fields, person_created
        from users.segments import groups, segments

        from .audience.audience import going_by
        from .composing.variable_uses import drafts_with
        from .lifecycle import due_times
        from .lifecycle.on_entry import names_of_watchers
        from .notifications.send import can_send_codes, codes_a_day, send_code, welcome
        from .sending import overdue
        from .sending.last_look import hold, in_the_air
        from .sending.open_logins import needed
        from .tracking.revocation import is_revoked

        logins.needed.fill(needed)
        link_sessions.revoked_at_the_source.fill(is_revoked)
        own_fields.uses_elsewhere.fill(drafts_with)
        groups.uses_elsewhere.fill(going_by)
        confirmation.sender.fill(CodeSender(can_send_codes, send_code, codes_a_day))
        person_created.listener.fill(welcome)
        consent.sending.fill(Sending(hold, in_the_air))
        segments.watching_mailings.fill(names_of_watchers)
        from .audience.conditions import register_conditions

        register_conditions()
        overdue.register()
        due_times.register()
