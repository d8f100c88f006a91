"""How log lines look: structured, one a line, and never with a subscriber's number or a key in them (law 8).

Masking is the formatter's last act, so messages, arguments, tracebacks and other libraries' lines all pass it.
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import unquote

import structlog

from record.masking import mask_numbers


def readable_address(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """An escaped address would pass the mask: `%31%33…` is a number too."""
    request = event.get("request")
    while isinstance(request, str) and request != (readable := unquote(request)):
        event["request"] = request = readable
    return event


# What structlog adds to every line, its own and those of the standard library alike.
SHARED_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    readable_address,
]


class MaskingFormatter(structlog.stdlib.ProcessorFormatter):
    """Formats a line, then masks what looks like a number or a key in it."""

    def format(self, record: logging.LogRecord) -> str:
        return mask_numbers(super().format(record))


def configure(*, as_json: bool) -> dict[str, Any]:
    """The `LOGGING` setting; also points structlog at the standard library."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED_PROCESSORS,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"])
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "masked": {
                "()": MaskingFormatter,
                "foreign_pre_chain": SHARED_PROCESSORS,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "masked"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "django": {"handlers": [], "level": "WARNING", "propagate": True},
            # One line a request is django_structlog's to write.
            "django.request": {"handlers": [], "level": "ERROR", "propagate": True},
            "django_structlog": {"level": "INFO" if as_json else "WARNING"},
        },
    }
