#!/usr/bin/env python
"""The registry's command line: `manage.py help` lists the commands."""

import os
import sys

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
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
