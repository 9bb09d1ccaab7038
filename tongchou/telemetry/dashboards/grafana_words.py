"""Grafana's words and ours: units, colours, reductions, sorts, and the keys that only say how something looks."""

from __future__ import annotations

from tongchou.telemetry.dashboards.words import RANGE_SECONDS, RANGES

# our unit -> Grafana's ids, the first of which is written
UNITS: dict[str, tuple[str, ...]] = {
    "": ("short", "", "sishort", "locale"),
    "plain": ("none", "string"),
    "percent": ("percent",),
    "ratio": ("percentunit",),
    "per_second": ("cps", "ops", "reqps", "rps", "wps", "iops", "pps", "eps", "recps", "mps", "rowsps"),
    "yes_no": ("bool_yes_no", "bool", "bool_on_off"),
    "bytes": ("bytes",),
    "bytes_si": ("decbytes",),
    "kibibytes": ("kbytes",),
    "mebibytes": ("mbytes",),
    "gibibytes": ("gbytes",),
    "bits": ("decbits", "bits"),
    "bytes_per_second": ("binBps",),
    "bytes_si_per_second": ("Bps",),
    "bits_per_second": ("bps", "binbps"),
    "nanoseconds": ("ns",),
    "microseconds": ("µs",),
    "milliseconds": ("ms",),
    "seconds": ("s", "dtdurations", "clocks"),
    "minutes": ("m",),
    "hours": ("h",),
    "days": ("d",),
    "time": ("dateTimeAsIso", "dateTimeAsLocal", "dateTimeFromNow", "dateTimeAsUS", "dateTimeAsSystem"),
    "celsius": ("celsius",),
    "hertz": ("hertz", "rothz"),
    "watt": ("watt",),
    "volt": ("volt",),
    "ampere": ("amp",),
    "rpm": ("rotrpm",),
}
OUR_UNIT = {theirs: ours for ours, all_of in UNITS.items() for theirs in all_of}
EXACT = {all_of[0] for all_of in UNITS.values()} | {"", "none"}  # of the others the suffix is not quite the same

# our tone -> Grafana's colours, the first of which is written
TONES: dict[str, tuple[str, ...]] = {
    "ok": ("green", "#299c46", "#73bf69", "#37872d", "#56a64b", "#96d98d", "#c8f2c2", "rgba(50, 172, 45, 0.97)"),
    "warning": ("orange", "yellow", "#eab839", "#ff9830", "#fade2a", "#f2cc0c", "#ff7300", "rgba(237, 129, 40, 0.89)"),
    "critical": ("red", "#d44a3a", "#e24d42", "#f2495c", "#c4162a", "#e02f44", "#bf1b00", "rgba(245, 54, 54, 0.9)"),
    "accent": ("blue", "#5794f2", "#1f60c4", "#3274d9", "#8ab8ff", "#1f78c1"),
    "maintenance": ("purple", "#b877d9", "#8f3bb8", "#a352cc"),
    "neutral": ("text", "transparent", "#ccccdc", "#808080", "gray", "white", "black"),
}
OUR_TONE = {theirs: ours for ours, all_of in TONES.items() for theirs in all_of}
SHADES = ("dark-", "semi-dark-", "light-", "super-light-")

REDUCERS: dict[str, tuple[str, ...]] = {
    "last": ("lastNotNull", "last", "current"),
    "mean": ("mean", "avg"),
    "max": ("max",),
    "min": ("min",),
    "sum": ("sum", "total"),
    "first": ("firstNotNull", "first"),
    "count": ("count",),
    "range": ("range",),
}
OUR_REDUCER = {theirs: ours for ours, all_of in REDUCERS.items() for theirs in all_of}
SORTS = {"": (0,), "name": (1, 5, 7), "-name": (2, 6, 8), "number": (3,), "-number": (4,)}
OUR_SORT = {theirs: ours for ours, all_of in SORTS.items() for theirs in all_of}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# the keys that say how something looks in Grafana, or that Grafana keeps for itself; by where they stand
LOOKS: dict[str, frozenset[str]] = {
    "dashboard": _words(
        """
        __elements __requires __inputs editable fiscalYearStartMonth gnetId graphTooltip hideControls id
        iteration liveNow preload revision schemaVersion sharedCrosshair style timepicker timezone uid
        version weekStart nav
        """
    ),
    "row": _words("datasource id height editable showTitle titleSize gridPos type span"),
    "panel": _words(
        """
        aliasColors bars cacheTimeout cards color colors colorBackground colorPostfix colorPrefix
        colorValue columns dashLength dashes dataFormat datasource decimals editable error fill
        fillGradient fontSize format hiddenSeries hideTimeOverride hideZeroBuckets highlightCards height
        isNew legend lines linewidth mode nullPointMode nullText pageSize percentage pluginVersion
        pointradius points postfixFontSize prefixFontSize renderer reverseYBuckets scroll showHeader sort
        spaceLength span sparkline steppedLine styles tableColumn tooltip tooltipDecimals transparent
        valueFontSize xaxis xAxis xBucketNumber xBucketSize yAxis yBucketBound yBucketNumber yBucketSize
        yaxes yaxis repeatDirection maxPerRow gauge mappingTypes
        """
    ),
    "options": _words(
        """
        alertThreshold barRadius barWidth calculate calculation cellGap cellHeight cellRadius cellValues
        code color colorMode dataLinks displayLabels displayMode exemplars fieldOptions filterValues
        footer frameIndex fullHighlight graphMode groupWidth justifyMode layout legend maxVizHeight
        mergeValues minVizHeight minVizWidth namePlacement orientation percentChangeColorMode pieType
        rowHeight rowsFrame showHeader showPercentChange showThresholdLabels showThresholdMarkers
        showUnfilled showValue sizing sortBy stacking text textMode timezone tooltip valueMode wideLayout
        xTickLabelMaxLength xTickLabelRotation xTickLabelSpacing yAxis dedupStrategy enableLogDetails
        enableInfiniteScrolling prettifyLogMessage showCommonLabels showLabels showTime sortOrder
        wrapLogMessage
        """
    ),
    "custom": _words(
        """
        align axisBorderShow axisCenteredZero axisColorMode axisGridShow axisLabel axisPlacement
        axisSoftMax axisSoftMin axisWidth barAlignment barMaxWidth barWidthFactor cellOptions displayMode
        drawStyle fillBelowTo fillOpacity filterable gradientMode hideFrom insertNulls inspect
        lineInterpolation lineStyle lineWidth minWidth pointSize scaleDistribution showPoints spanNulls
        stacking thresholdsStyle width
        """
    ),
    "field": frozenset(("color", "thresholds", "nullValueMode", "noValue", "custom")),
    "target": _words(
        """
        datasource disableTextWrap editorMode exemplar format fullMetaSearch includeNullMetadata
        intervalFactor key metric qryType queryType range refId step useBackend
        """
    ),
    "variable": _words(
        """
        allFormat auto_count auto_min current datasource definition error id options queryValue refresh
        skipUrlSync tagValuesQuery tags tagsQuery useTags qryType refId hide
        """
    ),
    "annotation": _words("datasource hide iconColor name target type limit matchAny showIn tags"),
}
PANELS = {
    "timeseries": "graph", "graph": "graph", "barchart": "graph", "trend": "graph", "state-timeline": "graph",
    "stat": "stat", "singlestat": "stat", "grafana-singlestat-panel": "stat",
    "gauge": "gauge", "bargauge": "gauge",
    "table": "table", "table-old": "table", "grafana-piechart-panel": "table", "piechart": "table",
    "heatmap": "heatmap", "heatmap-new": "heatmap",
    "logs": "log", "text": "text",
}  # fmt: skip
WRITTEN = {
    "graph": "timeseries", "stat": "stat", "gauge": "gauge", "table": "table", "heatmap": "heatmap", "log": "logs",
    "text": "text",
}  # fmt: skip
ALIKE = frozenset(
    {"timeseries", "graph", "stat", "singlestat", "gauge", "table", "heatmap", "logs", "text", "heatmap-new"}
)
UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "M": 2_592_000, "y": 31_536_000}


def nearest_range(seconds: float) -> str:
    """Return the first of our ranges that is at least as long, the longest for more."""
    return next((name for name, long in zip(RANGES, RANGE_SECONDS, strict=True) if long >= seconds), RANGES[-1])


def tone_of(colour: str) -> str | None:
    """Return the tone of a colour of Grafana, None for one that is none of ours."""
    plain = colour.strip().lower()
    for shade in SHADES:
        plain = plain.removeprefix(shade)
    return OUR_TONE.get(plain)
