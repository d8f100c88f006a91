from __future__ import annotations

from django.urls import path

from telemarketers.api.callers import CallerView
from telemarketers.api.calling_numbers import CallingNumbersView, CallingNumberWithdrawView
from telemarketers.api.mandates import MandateConfirmView, MandateEndView, MandatesView
from telemarketers.api.matters import MattersView, MatterWithdrawView

urlpatterns = [
    path("api/v1/callers/<str:number>", CallerView.as_view()),
    path("api/v1/calling-numbers", CallingNumbersView.as_view()),
    path("api/v1/calling-numbers/<int:pk>/withdraw", CallingNumberWithdrawView.as_view()),
    path("api/v1/matters", MattersView.as_view()),
    path("api/v1/matters/<slug:code>/withdraw", MatterWithdrawView.as_view()),
    path("api/v1/mandates", MandatesView.as_view()),
    path("api/v1/mandates/<int:pk>/confirm", MandateConfirmView.as_view()),
    path("api/v1/mandates/<int:pk>/end", MandateEndView.as_view()),
]
