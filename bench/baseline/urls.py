"""The URLs of the baseline."""

from __future__ import annotations

from django.urls import path

from bench.baseline.views import ZerglingViewSet

urlpatterns = [
    path("zerglings/", ZerglingViewSet.as_view({"post": "create"})),
    path("zerglings/<str:pk>/", ZerglingViewSet.as_view({"get": "retrieve", "post": "command"})),
]
