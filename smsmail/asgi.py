"""The application that granian serves in both deployment shapes. Only complete requests reach the
application's threads.
"""

from django.conf import settings

from .web.front import Front
from .wsgi import application as wsgi_application

# Receipts are stored many at a time (integrations.webhooks).
application = Front(wsgi_application, settings.WEB_THREADS, together="/hooks/")
