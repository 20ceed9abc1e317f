"""Is this process able to serve? For load balancers and container health checks; open to all."""

import logging

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

logger = logging.getLogger(__name__)


@login_not_required
def health(request: HttpRequest) -> JsonResponse:
    """200 when the database answers, 503 when it does not."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        logger.warning("the database does not answer: %s", type(error).__name__)
        return JsonResponse({"database": "away"}, status=503)
    return JsonResponse({"database": "ok"})
