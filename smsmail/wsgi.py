"""The application itself. `smsmail.asgi`, which reads bodies first, is what granian serves."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from .web.forwarded import Forwarded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smsmail.settings")
# Restores the client's own address (for counting wrong passwords by network) and scheme, as the proxy saw
# them.
application = Forwarded(get_wsgi_application(), settings.TRUSTED_PROXIES)
