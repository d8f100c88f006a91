"""What the web server loads. Refuses to start, in a sentence, where keys are missing."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dncregistry.settings")

application = get_wsgi_application()
