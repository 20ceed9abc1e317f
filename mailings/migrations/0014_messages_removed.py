"""A mailing says since when its messages are removed."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("mailings", "0013_submitted")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="mailing",
            name="messages_removed_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
