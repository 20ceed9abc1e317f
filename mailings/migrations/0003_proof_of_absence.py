"""What proves that a message was never taken: the login of the hand-over, a witness, how far its books have
been read, and what the last look left in doubt.
"""

from django.db import migrations, models
from django.db.models import Q


def keep_logins(apps, schema_editor):
    """What is open was handed over with the login of today: nobody could be asked about it otherwise."""
    from integrations.routing import logins

    Dispatch = apps.get_model("mailings", "Dispatch")
    for account in apps.get_model("integrations", "Account").objects.all():
        try:
            login = logins.fingerprint(account.provider, account.credentials)
        except KeyError:  # a service that is not there any more
            continue
        open_ = Dispatch.objects.filter(Q(look_up_at__isnull=False) | Q(state="handing"))
        open_.filter(account=account).update(login=login)


class Migration(migrations.Migration):

    dependencies = [
        ("mailings", "0002_room_for_updates"),
        ('integrations', '0002_former_logins_and_strays'),
    ]

    operations = [
        migrations.AddField(
            model_name='dispatch',
            name='doubt',
            field=models.CharField(blank=True, choices=[('reading', 'Reading'), ('away', 'Away'), ('clock', 'Clock'), ('put_off', 'Put Off'), ('login', 'Login'), ('no_proof', 'No Proof')], max_length=16),
        ),
        migrations.AddField(
            model_name='dispatch',
            name='login',
            field=models.CharField(blank=True, max_length=32),
        ),
        migrations.AddField(
            model_name='dispatch',
            name='read_to',
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name='dispatch',
            name='witness',
            field=models.CharField(blank=True, max_length=40),
        ),
        migrations.RunPython(keep_logins, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name='dispatch',
            index=models.Index(condition=models.Q(('claimed_at__isnull', False)), fields=['account', 'claimed_at'], name='dispatch_claimed'),
        ),
    ]
