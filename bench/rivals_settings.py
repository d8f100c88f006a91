"""The registry's settings, with the rivals' address and none of the registry's middleware."""

from dncregistry.settings import *  # noqa: F403

ROOT_URLCONF = "bench.rivals"
MIDDLEWARE = []
REST_FRAMEWORK = {  # as it comes, without the registry's parsers and errors
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}
