#!/usr/bin/env python
"""The registry's command line: `manage.py help` lists the commands."""

import os
import sys

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db.migrations.exceptions import MigrationSchemaMissing
from django.db.utils import Error as DatabaseFailure
from django.utils import translation

from dncregistry.errors import Refused

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dncregistry.settings")
    try:
        django.setup()
        spoken = os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
        translation.activate("zh-hans" if spoken.startswith("zh") else "en")
        execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, Refused) as error:
        sys.exit(str(error))
    except (DatabaseFailure, MigrationSchemaMissing) as error:
        if "--traceback" in sys.argv:
            raise
        sys.exit(
            f"The database refused, or did not answer: {str(error).strip()}\n"
            "Look at DATABASE_URL and at the server; `migrate` and `audit_record` are run as the owner of the tables. "
            "With --traceback you see where it happened."
        )
