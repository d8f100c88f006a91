from __future__ import annotations

from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from dncregistry import health

urlpatterns = [
    path("", RedirectView.as_view(url="/api/docs/")),  # until the portal is built
    path("", include("telemarketers.urls")),
    path("", include("consents.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema")),
    path("healthz", health.HealthView.as_view()),
    path("readyz", health.ReadyView.as_view()),
    path("metrics", health.MetricsView.as_view()),
]

handler400 = "dncregistry.rest.bad_request"
handler404 = "dncregistry.rest.page_not_found"
handler500 = "dncregistry.rest.server_error"
