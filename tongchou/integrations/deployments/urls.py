"""The URL of the deployment webhook."""

from django.urls import path

from tongchou.integrations.deployments.receive import receive

urlpatterns = [path("<str:source>", receive, name="deployment-hook")]
