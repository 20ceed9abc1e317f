"""The Django project: settings, periodic jobs, the web layer and backups. It knows no mailing."""

from .celery import app as celery_app

__all__ = ["celery_app"]
