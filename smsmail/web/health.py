"""Health checks for load balancers, monitors and containers: is this process able to serve, and are the
periodic jobs done? Open to everybody; they reveal nothing about people.
"""

import logging

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache

from smsmail.jobs import watchdog
from smsmail.version import VERSION

logger = logging.getLogger(__name__)


@login_not_required
def health(request: HttpRequest) -> JsonResponse:
    """Return 200 and the version of smsmail if the database answers, 503 if it does not."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return _away(error)
    return JsonResponse({"database": "ok", "version": VERSION})


@never_cache
@login_not_required
def ready(request: HttpRequest) -> JsonResponse:
    """Return 200 if the database answers and every periodic job is done; otherwise 503 with the
    reasons.
    """
    try:
        found = watchdog.state_of_work()
        due = watchdog.oldest_due()
    except DatabaseError as error:
        return _away(error)
    reasons = [_reason(each) for each in found.troubles]
    ages = {job: max(int((found.now - at).total_seconds()), 0) for job, at in due.items()}
    told = {
        "database": "ok",
        "jobs": watchdog.states(found),
        "oldest_due_seconds": ages,
        "reasons": reasons,
    }
    return JsonResponse(told, status=503 if reasons else 200)


def _reason(trouble: watchdog.UndoneJob) -> str:
    since = f" since {trouble.since:%Y-%m-%d %H:%M:%S} UTC" if trouble.since else ""
    if trouble.error:
        return f"{trouble.job} has failed time after time{since}: {trouble.error}"
    if trouble.waits:
        return f"{trouble.job} runs, but something has been due{since}"
    return f"no worker has done {trouble.job}{since}" if since else f"no worker does {trouble.job}"


def _away(error: Exception) -> JsonResponse:
    logger.warning("the database does not answer: %s", type(error).__name__)
    told = {"database": "away", "reasons": ["the database does not answer"]}
    return JsonResponse(told, status=503)
