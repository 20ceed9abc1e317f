"""Where a wrong clock has claimed a lot, and the latest moment that any clock has shown."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("mailings", "0004_words_of_statuses"),
    ]

    operations = [
        migrations.AddField(
            model_name='dispatch',
            name='books_since',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name='ClockReading',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('latest', models.DateTimeField()),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='one_clock_reading')],
            },
        ),
    ]
