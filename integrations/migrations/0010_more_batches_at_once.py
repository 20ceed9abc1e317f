"""Accounts that had as many batches at once as Twilio and SevenTech took, two, have as many as they take now."""

from typing import Any

from django.db import migrations

SERVICES = ["twilio", "seventech"]
BEFORE, NOW = 2, 10


def widen(apps: Any, schema_editor: Any) -> None:
    accounts = apps.get_model("integrations", "Account").objects
    accounts.filter(provider__in=SERVICES, parallel=BEFORE).update(parallel=NOW)


class Migration(migrations.Migration):
    dependencies = [("integrations", "0009_simulated_sms_scheduled")]
    operations = [migrations.RunPython(widen, migrations.RunPython.noop)]
