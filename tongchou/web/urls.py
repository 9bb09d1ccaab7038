"""Every page. The first word of a name finds its line in the menu ("run-act" belongs to "runs")."""

from django.urls import path

from tongchou.web import (
    account,
    admin_pages,
    assets,
    deliver,
    design,
    live,
    logs,
    operate,
    operate_alerts,
    operate_incidents,
    operate_runbooks,
    plan,
    plan_sources,
    review,
    search,
    shell,
)

app_name = "web"

urlpatterns = [
    path("assets/echarts-<str:stamp>.js", assets.echarts, name="echarts"),
    path("favicon.ico", assets.favicon, name="favicon"),
    path("shell/language", shell.set_language, name="language"),
    path("shell/theme", shell.set_theme, name="theme"),
    path("shell/counts", shell.counts, name="counts"),
    path("search", search.search, name="search"),
    path("live/events", live.events, name="live"),
    path("panels/query", operate.panel_query, name="panel-query"),
    # plan
    path("resources", plan.resources, name="resources"),
    path("resources/sources", plan_sources.resource_sources, name="resource-sources"),
    path("resources/sources/<str:name>", plan_sources.resource_source_act, name="resource-source-act"),
    path("resources/<uuid:resource_id>", plan.resource, name="resource"),
    path("resources/<uuid:resource_id>/hold", plan.hold, name="resource-hold"),
    path("resources/<uuid:resource_id>/retire", plan.retire, name="resource-retire"),
    # design
    path("map", design.service_map, name="map"),
    # deliver
    path("deployments", deliver.deployments, name="deployments"),
    path("approvals", deliver.approvals, name="approvals"),
    path("approvals/<uuid:approval_id>", deliver.approval_decide, name="approval-decide"),
    # operate
    path("", operate.cockpit, name="cockpit"),
    path("cockpit/panels", operate.panels_edit, name="cockpit-panels"),
    path("explore", operate.explore, name="explore"),
    path("logs", logs.logs, name="logs"),
    path("logs/histogram", logs.logs_histogram, name="logs-histogram"),
    path("logs/lines/<str:line>", logs.logs_line, name="logs-line"),
    path("incidents", operate_incidents.incidents, name="incidents"),
    path("incidents/<int:number>", operate_incidents.incident, name="incident"),
    path("incidents/<int:number>/<str:act>", operate_incidents.incident_act, name="incident-act"),
    path("alerts", operate_alerts.alerts, name="alerts"),
    path("alerts/all", operate_alerts.alert_list, name="alert-list"),
    path("alerts/rules", operate_alerts.alert_rules, name="alert-rules"),
    path("alerts/channels", operate_alerts.alert_channels, name="alert-channels"),
    path("alerts/rule-files/new", operate_alerts.alert_file, name="alert-file-new"),
    path("alerts/rule-files/<str:name>", operate_alerts.alert_file, name="alert-file"),
    path("alerts/groups/<uuid:group_id>", operate_alerts.alert_group, name="alert-group"),
    path(
        "alerts/groups/<uuid:group_id>/acknowledge",
        operate_alerts.alert_group_acknowledge,
        name="alert-group-acknowledge",
    ),
    path("procedures", operate_runbooks.procedures, name="procedures"),
    path("procedures/new", operate_runbooks.procedure_edit, name="procedure-new"),
    path("procedures/<slug:name>", operate_runbooks.procedure_detail, name="procedure"),
    path("procedures/<slug:name>/edit", operate_runbooks.procedure_edit, name="procedure-edit"),
    path("procedures/<slug:name>/plan", operate_runbooks.procedure_plan, name="procedure-plan"),
    path("procedures/<slug:name>/run", operate_runbooks.procedure_run, name="procedure-run"),
    path("runs", operate_runbooks.runs, name="runs"),
    path("runs/<uuid:run_id>", operate_runbooks.run, name="run"),
    path("runs/<uuid:run_id>/<str:act>", operate_runbooks.run_act, name="run-act"),
    # review
    path("events", review.events, name="events"),
    path("events/<int:number>", review.event_detail, name="event"),
    # administration and the person's own
    path("people", admin_pages.people, name="people"),
    path("people/tokens", admin_pages.people_token, name="people-token"),
    path("people/tokens/<uuid:token_id>/revoke", admin_pages.people_token_revoke, name="people-token-revoke"),
    path("people/<str:act>", admin_pages.people_act, name="people-act"),
    path("settings", admin_pages.settings, name="settings"),
    path("account", account.account, name="account"),
    path("account/password", account.account_password, name="account-password"),
    path("account/tokens", account.account_token, name="account-token"),
    path("account/tokens/<uuid:token_id>/revoke", account.account_token_revoke, name="account-token-revoke"),
]
