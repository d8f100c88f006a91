"""The project: settings, URLs, the REST error shape, and how the process starts."""

# So that whoever hurries a task finds the broker: tasks belong to the app that was made last.
from dncregistry.celery import app as celery_app

__all__ = ("celery_app",)
