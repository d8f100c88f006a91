"""What the web server loads. Refuses to start, in a sentence, where keys are missing or the database is unsafe."""

import os

from django.core.wsgi import get_wsgi_application
from django.db import connection

from dncregistry import checks
from record import keys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dncregistry.settings")

application = get_wsgi_application()

# Without its keys the registry can neither find a number nor sign an answer: better not to start.
keys.require()
checks.demand_fit_to_serve()
connection.close()  # requests open their own, with a deadline
