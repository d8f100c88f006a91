from __future__ import annotations

from django.urls import path

from telemarketers.api import CallerView

urlpatterns = [
    path("api/v1/callers/<str:number>", CallerView.as_view()),
]
