"""The Django project: settings, URLs, periodic jobs and what every app shares. It holds no business
rules.
"""

from .celery import app as celery_app

__all__ = ["celery_app"]
