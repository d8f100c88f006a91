"""The purposes and policies that the registry ships with, as documents to publish."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

POLICIES = ("china", "open_for_all")


def purposes() -> list[dict[str, str]]:
    """Each with code, kind, name_zh, name_en."""
    listed: list[dict[str, str]] = _load("purposes")
    return listed


def policy(name: str) -> dict[str, Any]:
    """One of `POLICIES`, as telemarketers/policy.py reads it."""
    document: dict[str, Any] = _load(name)
    return document


def _load(name: str) -> Any:
    return json.loads((Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8"))
