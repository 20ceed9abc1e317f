"""The main app: mailings, their messages, and how these reach people."""

from django.apps import AppConfig


class MailingsConfig(AppConfig):
    name = "mailings"

    def ready(self) -> None:
        from integrations.routing import logins
        from users.access import link_sessions
        from users.consent import confirmation, consent
        from users.people import own_fields, person_created
        from users.segments import groups, segments

        from .audience.audience import going_by
        from .composing.variable_uses import drafts_with
        from .lifecycle.on_entry import names_of_watchers
        from .notifications.send import can_send_codes, codes_a_day, send_code, welcome
        from .sending import overdue
        from .sending.last_look import hold, in_the_air
        from .sending.open_logins import needed
        from .tracking.revocation import is_revoked

        logins.ask_about_use(needed)
        link_sessions.ask_about_revocation(is_revoked)
        own_fields.ask_about_uses(drafts_with)
        groups.ask_about_uses(going_by)
        confirmation.send_with(can_send_codes, send_code, codes_a_day)
        person_created.tell(welcome)
        consent.hold_with(hold, in_the_air)
        segments.ask_about_watchers(names_of_watchers)
        from .audience.conditions import register_conditions

        register_conditions()
        overdue.register()
