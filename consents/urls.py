from __future__ import annotations

from django.urls import path

from consents.api.authorizations import AuthorizationsSearchView
from consents.api.checks import BatchView, ChecksView
from consents.api.receipts import ConfirmView, KeySetView
from consents.api.refusals import RefusalsView

urlpatterns = [
    path("api/v1/checks", ChecksView.as_view()),
    path("api/v1/checks/batch", BatchView.as_view()),
    path("api/v1/receipts/confirm", ConfirmView.as_view()),
    path("api/v1/authorizations/search", AuthorizationsSearchView.as_view()),
    path("api/v1/refusals", RefusalsView.as_view()),
    path(".well-known/jwks.json", KeySetView.as_view()),
]
