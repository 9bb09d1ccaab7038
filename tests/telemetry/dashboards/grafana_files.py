"""Dashboards in the shape of Grafana's exports, written for these tests: one of each generation."""

from __future__ import annotations

from typing import Any

PROMETHEUS = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}


def target(expr: str, legend: str = "", ref: str = "A", **more: Any) -> dict[str, Any]:
    return {
        "datasource": PROMETHEUS,
        "editorMode": "code",
        "expr": expr,
        "legendFormat": legend,
        "range": True,
        "refId": ref,
        **more,
    }


def at(x: int, y: int, w: int, h: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": w, "h": h}


def series(
    title: str, place: dict[str, int], *targets: dict[str, Any], unit: str = "short", **defaults: Any
) -> dict[str, Any]:
    """A panel as Grafana 9 to 12 write it, thresholds that do not show included."""
    steps = [{"color": "green", "value": None}, {"color": "red", "value": 80}]
    custom = {
        "axisPlacement": "auto", "barAlignment": 0, "drawStyle": "line", "fillOpacity": 20, "gradientMode": "none",
        "lineInterpolation": "linear", "lineWidth": 1, "pointSize": 5, "showPoints": "never", "spanNulls": False,
        "hideFrom": {"legend": False, "tooltip": False, "viz": False}, "scaleDistribution": {"type": "linear"},
        "stacking": {"group": "A", "mode": "none"}, "thresholdsStyle": {"mode": "off"},
    }  # fmt: skip
    return {
        "datasource": PROMETHEUS, "type": "timeseries", "title": title, "gridPos": place, "targets": list(targets),
        "fieldConfig": {
            "defaults": {"color": {"mode": "palette-classic"}, "custom": {**custom, **defaults.pop("custom", {})},
                         "mappings": [], "unit": unit, "thresholds": {"mode": "absolute", "steps": steps}, **defaults},
            "overrides": [],
        },
        "options": {"legend": {"calcs": ["mean"], "displayMode": "list", "placement": "bottom", "showLegend": True},
                    "tooltip": {"mode": "multi", "sort": "desc"}},
        "pluginVersion": "11.3.0",
    }  # fmt: skip


def figure(kind: str, title: str, place: dict[str, int], expr: str, unit: str, **defaults: Any) -> dict[str, Any]:
    return {
        "datasource": PROMETHEUS, "type": kind, "title": title, "gridPos": place,
        "targets": [target(expr, "__auto", instant=True)],
        "fieldConfig": {"defaults": {"unit": unit, "color": {"mode": "thresholds"}, **defaults}, "overrides": []},
        "options": {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                    "colorMode": "value", "graphMode": "area", "textMode": "auto", "orientation": "auto"},
    }  # fmt: skip


BUSY = '100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle", job="$job", instance=~"$node"}[$__rate_interval])))'
STEPS = {
    "mode": "absolute",
    "steps": [{"color": "green", "value": None}, {"color": "#EAB839", "value": 70}, {"color": "dark-red", "value": 90}],
}
HOSTS: dict[str, Any] = {
    "__inputs": [
        {"name": "DS_PROMETHEUS", "label": "Prometheus", "type": "datasource", "pluginId": "prometheus"},
        {"name": "VAR_MOUNT", "type": "constant", "label": "mount", "value": "/data"},
    ],
    "__requires": [{"type": "grafana", "id": "grafana", "name": "Grafana", "version": "11.3.0"}],
    "annotations": {"list": [
        {"builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "enable": True, "hide": True, "name": "Annotations & Alerts", "type": "dashboard"},
        {"datasource": PROMETHEUS, "enable": True, "expr": "changes(process_start_time_seconds[1m])", "name": "restarts"},
    ]},
    "editable": True, "graphTooltip": 1, "schemaVersion": 40, "uid": "hosts", "version": 12, "weekStart": "",
    "title": "Hosts full", "description": "Every host.", "tags": ["linux", "hosts"], "timezone": "browser",
    "time": {"from": "now-6h", "to": "now"}, "refresh": "1m", "timepicker": {"refresh_intervals": ["1m"]},
    "links": [{"title": "Source", "type": "link", "url": "https://example.org"}],
    "templating": {"list": [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"},
        {"name": "job", "type": "query", "datasource": PROMETHEUS, "definition": "label_values(node_uname_info, job)",
         "query": {"qryType": 1, "query": "label_values(node_uname_info, job)", "refId": "PrometheusVariableQueryEditor-VariableQuery"},
         "refresh": 1, "sort": 1, "options": [], "current": {}},
        {"name": "node", "type": "query", "datasource": PROMETHEUS, "includeAll": True, "multi": True, "label": "Host", "allValue": ".*",
         "query": 'label_values(node_uname_info{job="$job"}, instance)', "regex": "/(.*):.*/", "sort": 3,
         "current": {"text": ["All"], "value": ["$__all"]}},
        {"name": "window", "type": "interval", "auto": True, "query": "1m,5m,1h", "current": {"text": "5m", "value": "5m"}, "auto_count": 30, "auto_min": "10s"},
        {"name": "filters", "type": "adhoc", "datasource": PROMETHEUS},
    ]},
    "panels": [
        {"type": "row", "title": "At a glance", "collapsed": False, "gridPos": at(0, 0, 24, 1), "id": 1, "panels": []},
        {**figure("gauge", "Busy", at(0, 1, 4, 5), BUSY, "percent", min=0, max=100, decimals=1, thresholds=STEPS), "id": 2},
        {**figure("bargauge", "Pressure", at(4, 1, 4, 5), "node_pressure_cpu_waiting_seconds_total", "percentunit"), "id": 3},
        {**figure("stat", "State", at(8, 1, 4, 5), 'up{job="$job"}', "none", mappings=[
            {"type": "value", "options": {"0": {"text": "Down", "color": "red", "index": 0}, "1": {"text": "Up", "color": "green", "index": 1}}},
            {"type": "range", "options": {"from": 2, "to": 9, "result": {"text": "odd", "index": 2}}},
            {"type": "special", "options": {"match": "null", "result": {"text": "N/A", "index": 3}}},
        ]), "id": 4, "links": [{"title": "more", "url": "/d/x"}]},
        {"id": 5, "type": "text", "title": "", "gridPos": at(12, 1, 12, 5), "options": {"mode": "markdown", "content": "# Read **me**", "code": {"language": "plaintext"}}},
        {**series("CPU of $node", at(0, 6, 12, 9), target(BUSY, "{{instance}}"), target("sum(1)", "", "B", hide=True), unit="percent", min=0, max=100,
                  custom={"stacking": {"mode": "percent", "group": "A"}, "thresholdsStyle": {"mode": "area"}}, thresholds=STEPS),
         "id": 6, "repeat": "node", "repeatDirection": "h"},
        {**series("Disk", at(12, 6, 12, 9), target('node_filesystem_avail_bytes{mountpoint="${VAR_MOUNT}"}', "{{device}}"), unit="bytes"), "id": 7,
         "transformations": [{"id": "organize", "options": {}}]},
        {"type": "row", "title": "Folded", "collapsed": True, "gridPos": at(0, 15, 24, 1), "id": 8, "panels": [
            {**series("Packets", at(0, 16, 24, 8), target("rate(node_network_receive_packets_total[1m])"), unit="pps",
                      custom={"drawStyle": "bars", "stacking": {"mode": "normal"}}), "id": 9,
             "fieldConfig": {"defaults": {"unit": "pps", "custom": {"drawStyle": "bars", "stacking": {"mode": "normal"}}},
                             "overrides": [{"matcher": {"id": "byName", "options": "x"}, "properties": [{"id": "color", "value": 1}]}]}},
            {"id": 10, "type": "table", "title": "Mounts", "gridPos": at(0, 24, 12, 8),
             "targets": [target("node_filesystem_size_bytes", "Size", format="table", instant=True)], "fieldConfig": {"defaults": {"unit": "decbytes"}}},
            {"id": 11, "type": "heatmap", "title": "Latency", "gridPos": at(12, 24, 12, 8), "options": {"calculate": False, "yAxis": {"unit": "s"}},
             "targets": [target("sum by (le) (rate(x_bucket[5m]))", "{{le}}", format="heatmap")]},
            {"id": 12, "type": "logs", "title": "Log", "gridPos": at(0, 32, 24, 8), "datasource": {"type": "loki", "uid": "l"},
             "targets": [{"expr": '{job="syslog"} |= "error"', "refId": "A"}]},
            {"id": 13, "type": "news", "title": "News", "gridPos": at(0, 40, 6, 4), "options": {"feedUrl": "https://example.org"}},
            {"id": 14, "type": "piechart", "title": "Shares", "gridPos": at(6, 40, 6, 4), "targets": [target("sum by (code) (x)")]},
            {"id": 14, "type": "stat", "title": "SQL", "gridPos": at(12, 40, 6, 4), "datasource": {"type": "mysql", "uid": "m"},
             "targets": [{"rawSql": "SELECT 1", "refId": "A"}], "fieldConfig": {"defaults": {"unit": "currencyUSD"}}},
        ]},
    ],
}  # fmt: skip
OLD: dict[str, Any] = {
    "title": "Old shop", "schemaVersion": 14, "style": "dark", "sharedCrosshair": True, "hideControls": False, "editable": True,
    "time": {"from": "now-1h", "to": "now"}, "refresh": False, "timezone": "utc",
    "templating": {"list": [{"name": "service", "type": "custom", "query": "checkout,search", "includeAll": True, "allFormat": "regex wildcard",
                             "current": {"text": "checkout", "value": "checkout"}}]},
    "rows": [
        {"title": "Numbers", "showTitle": True, "collapse": False, "height": "150px", "panels": [
            {"id": 1, "type": "singlestat", "title": "Requests", "span": 3, "datasource": "Prometheus", "format": "ops", "decimals": 1,
             "valueName": "avg", "thresholds": "50,100", "colors": ["#d44a3a", "rgba(237, 129, 40, 0.89)", "#299c46"], "colorValue": True,
             "gauge": {"show": False, "minValue": 0, "maxValue": 100}, "sparkline": {"show": True}, "prefix": "", "postfix": "/s",
             "valueMaps": [{"op": "=", "text": "N/A", "value": "null"}, {"op": "=", "text": "none", "value": "0"}], "mappingType": 1,
             "targets": [{"expr": 'sum(rate(http_requests_total{service=~"$service"}[1m]))', "intervalFactor": 2, "refId": "A", "step": 60}]},
            {"id": 2, "type": "singlestat", "title": "Load", "span": 3, "format": "percentunit", "valueName": "current",
             "thresholds": "0.5,0.9", "colors": ["green", "orange", "red"], "gauge": {"show": True, "minValue": 0, "maxValue": 1},
             "targets": [{"expr": "load", "refId": "A"}]},
        ]},
        {"title": "Graphs", "showTitle": False, "height": 250, "panels": [
            {"id": 3, "type": "graph", "title": "By code", "span": 8, "bars": True, "lines": False, "stack": True, "fill": 1, "linewidth": 2, "nullPointMode": "null",
             "yaxes": [{"format": "reqps", "min": 0, "show": True, "logBase": 1}, {"format": "short", "show": True}],
             "thresholds": [{"value": 100, "op": "gt", "colorMode": "critical", "fill": True, "line": True}],
             "seriesOverrides": [{"alias": "500", "color": "#bf1b00"}], "aliasColors": {"500": "#bf1b00"}, "legend": {"show": True}, "xaxis": {"show": True},
             "targets": [{"expr": "sum by (code) (rate(http_requests_total[1m]))", "legendFormat": "{{ code }}", "refId": "A"}],
             "alert": {"name": "Too many"}},
            {"id": 4, "type": "graph", "title": "Wide", "span": 6, "targets": [{"expr": "x", "refId": "A"}], "timeShift": "1d"},
        ]},
    ],
}  # fmt: skip
