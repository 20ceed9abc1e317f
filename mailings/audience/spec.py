"""The recipients that a form or a mailing names, and the key under which figures about them are remembered.
audience.py finds the people.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from django.db.models import (
    QuerySet,
)

from mailings.models import Mailing, Policy
from users.models import Group
from users.segments import rules
from users.segments.rules import Rule

from .frequency_cap import Cap, cap_of
from .personalization import needs_of


@dataclass(frozen=True)
class AudienceSpec:
    """The recipients that a mailing, or a form before it is saved, names: as much of a Mailing as the
    funnel needs.

    It stands for one question, such as a funnel or a preview: the rule, the groups and the policy are
    read once, when they are first needed. The next question makes a new spec and reads them again.
    """

    everyone: bool
    groups: QuerySet[Group]
    only_confirmed: bool
    rule: Any = None  # of a segment, as stored; counts unless everyone is chosen
    needs: frozenset[str] = frozenset()  # needs_of() the text
    mailing: Mailing | None = None  # where it is saved already
    typed: bool = False  # in a form just now: asked again with the next key
    patience: float | None = None  # seconds that one question about them may take

    @classmethod
    def of(cls, mailing: Mailing) -> "AudienceSpec":
        rule = mailing.rule
        as_it_is = rule is None or mailing.when == Mailing.When.ON_ENTRY
        if as_it_is and mailing.segment is not None:
            rule = mailing.segment.rule
        groups = mailing.groups.all() if mailing.pk else Group.objects.none()
        return cls(
            mailing.everyone,
            groups,
            mailing.only_confirmed,
            rule,
            needs_of(mailing.text),
            mailing,
        )

    @cached_property
    def parsed_rule(self) -> Rule:
        """Of a spec that has a rule. Raises BadRule."""
        return rules.read(self.rule)

    @cached_property
    def group_ids(self) -> list[int]:
        return sorted(self.groups.values_list("id", flat=True))

    @cached_property
    def policy(self) -> Policy:
        return Policy.current()

    @property
    def cap(self) -> Cap | None:
        return cap_of(self.mailing, self.policy)

    def key(self, what: str) -> str:
        """Return the cache key for `what` about these people."""
        policy, cap = self.policy, self.cap
        whom: Any = "everyone"
        if not self.everyone:
            whom = self.rule or self.group_ids
        asked = [
            what,
            whom,
            self.only_confirmed,
            sorted(self.needs),
            self.mailing.pk if self.mailing else None,
            [cap.messages, cap.days] if cap else None,
            [policy.sms_countries, policy.mobile_only],
        ]
        written = json.dumps(asked, sort_keys=True)
        return f"audience-{sha256(written.encode()).hexdigest()}"


def spec_of(mailing: Mailing | AudienceSpec) -> AudienceSpec:
    return mailing if isinstance(mailing, AudienceSpec) else AudienceSpec.of(mailing)
