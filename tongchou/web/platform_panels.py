"""The charts of the platform itself, and the same as a dashboard for Grafana."""

from __future__ import annotations

from typing import Any

from tongchou.web.panels import Panel

_OWN = 'job="tongchou"'
_QUANTILE = "histogram_quantile(0.95, sum by (le, {by}) (rate({name}_bucket{{" + _OWN + "{more}}}[5m])))"
_HTTP = "tongchou_http_request_duration_seconds"


def _p95(name: str, by: str, more: str = "") -> str:
    return _QUANTILE.format(name=name, by=by, more=more)


PANELS: tuple[Panel, ...] = (
    Panel(
        {"en": "Requests", "zh": "请求速率"},
        f"sum by (part) (rate({_HTTP}_count{{{_OWN}}}[5m]))",
        "per_second",
        "{{part}}",
        min=0,
    ),
    Panel({"en": "Answer time p95", "zh": "应答耗时 P95"}, _p95(_HTTP, "part"), "seconds", "{{part}}", min=0),
    Panel(
        {"en": "Errors of the server (5xx)", "zh": "服务端错误 (5xx)"},
        f'sum by (part) (rate({_HTTP}_count{{{_OWN},status="5xx"}}[5m]))',
        "per_second",
        "{{part}}",
        min=0,
    ),
    Panel(
        {"en": "Samples taken", "zh": "写入样本"},
        f"rate(tongchou_telemetry_ingested_samples_total{{{_OWN}}}[5m])",
        "per_second",
        "samples",
        min=0,
    ),
    Panel(
        {"en": "Samples in the journal", "zh": "预写日志中待入库的样本"},
        f"tongchou_telemetry_pending_samples{{{_OWN}}}",
        "",
        "samples",
        min=0,
    ),
    Panel(
        {"en": "Query time p95", "zh": "查询耗时 P95"},
        _p95("tongchou_promql_duration_seconds", "kind"),
        "seconds",
        "{{kind}}",
        min=0,
    ),
    Panel(
        {"en": "Jobs", "zh": "作业"},
        f'tongchou_jobs{{{_OWN},state!="done"}}',
        "",
        "{{state}}",
        min=0,
    ),
    Panel(
        {"en": "Oldest due job", "zh": "最久未执行的到期作业"},
        f"tongchou_jobs_oldest_due_seconds{{{_OWN}}}",
        "seconds",
        "waits",
        min=0,
    ),
    Panel(
        {"en": "Job time p95", "zh": "作业耗时 P95"},
        f"topk(8, {_p95('tongchou_job_duration_seconds', 'name')})",
        "seconds",
        "{{name}}",
        min=0,
    ),
    Panel(
        {"en": "Notices not sent", "zh": "未送出的通知"},
        f'tongchou_notifications{{{_OWN},state!="sent"}}',
        "",
        "{{state}}",
        min=0,
    ),
    Panel({"en": "Events not sealed", "zh": "未封存事件"}, f"tongchou_ledger_unsealed{{{_OWN}}}", "", "events", min=0),
    Panel({"en": "Live pages open", "zh": "打开的实时页面"}, f"tongchou_http_streams{{{_OWN}}}", "", "streams", min=0),
    Panel({"en": "Memory", "zh": "内存"}, f"process_resident_memory_bytes{{{_OWN}}}", "bytes", "process", min=0),
    Panel(
        {"en": "Samples in memory", "zh": "内存中的样本"},
        f'label_replace(tongchou_telemetry_window_bytes{{{_OWN}}}, "part", "window", "", "")'
        f' or label_replace(tongchou_telemetry_cache_bytes{{{_OWN}}}, "part", "half hours", "", "")',
        "bytes",
        "{{part}}",
        min=0,
    ),
    Panel({"en": "CPU", "zh": "CPU"}, f"rate(process_cpu_seconds_total{{{_OWN}}}[5m])", "ratio", "process", min=0),
    Panel(
        {"en": "Stores on disk", "zh": "磁盘占用"},
        f'label_replace(tongchou_telemetry_bytes_on_disk{{{_OWN}}}, "store", "telemetry", "", "")'
        f' or label_replace(tongchou_database_size_bytes{{{_OWN}}}, "store", "database", "", "")',
        "bytes",
        "{{store}}",
        min=0,
    ),
)
_GRAFANA_UNITS = {
    "": "short",
    "per_second": "cps",
    "ratio": "percentunit",
    "percent": "percent",
    "seconds": "s",
    "bytes": "bytes",
}


def grafana() -> dict[str, Any]:
    """Return the charts as a Grafana dashboard (schema 39) on a Prometheus data source that is chosen in Grafana."""
    source = {"type": "prometheus", "uid": "${source}"}
    charts = [
        {
            "id": place + 1,
            "type": "timeseries",
            "title": panel.title["en"],
            "datasource": source,
            "gridPos": {"h": 8, "w": 12, "x": 12 * (place % 2), "y": 8 * (place // 2)},
            "fieldConfig": {"defaults": {"unit": _GRAFANA_UNITS[panel.unit], "min": panel.min}, "overrides": []},
            "targets": [{"refId": "A", "datasource": source, "expr": panel.query, "legendFormat": panel.legend}],
        }
        for place, panel in enumerate(PANELS)
    ]
    return {
        "uid": "tongchou-self",
        "title": "Tongchou",
        "schemaVersion": 39,
        "tags": ["tongchou"],
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus", "label": "Source"}]},
        "panels": charts,
    }
