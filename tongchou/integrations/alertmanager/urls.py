"""URLs of Alertmanager's API, below /alertmanager/api/v2/."""

from django.urls import path

from tongchou.integrations.alertmanager import silences

urlpatterns = [
    path("silences", silences.many, name="alertmanager-silences"),
    path("silence/<str:silence_id>", silences.one, name="alertmanager-silence"),
]
