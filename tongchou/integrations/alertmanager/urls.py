"""URLs of Alertmanager's API, below /alertmanager/api/v2/."""

from django.urls import path

from tongchou.integrations.alertmanager import alerts, silences

urlpatterns = [
    path("status", alerts.status, name="alertmanager-status"),
    path("receivers", alerts.receivers, name="alertmanager-receivers"),
    path("alerts", alerts.alerts, name="alertmanager-alerts"),
    path("alerts/groups", alerts.groups, name="alertmanager-groups"),
    path("silences", silences.many, name="alertmanager-silences"),
    path("silence/<str:silence_id>", silences.one, name="alertmanager-silence"),
]
