from __future__ import annotations

from django.urls import path

from consents.api import BatchView, ChecksView, KeySetView

urlpatterns = [
    path("api/v1/checks", ChecksView.as_view()),
    path("api/v1/checks/batch", BatchView.as_view()),
    path(".well-known/jwks.json", KeySetView.as_view()),
]
