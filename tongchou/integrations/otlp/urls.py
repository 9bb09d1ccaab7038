"""URLs of OTLP, below /otlp/v1/."""

from django.urls import path

from tongchou.integrations.otlp import logs

urlpatterns = [path("logs", logs.export, name="otlp-logs")]
