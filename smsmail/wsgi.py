"""The application itself. `smsmail.asgi` puts the reading of bodies in front; that is what is served."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from .web.forwarded import Forwarded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smsmail.settings")
# The person's own address (wrong passwords are counted by its networks) and https, as the proxy saw.
application = Forwarded(get_wsgi_application(), settings.TRUSTED_PROXIES)
