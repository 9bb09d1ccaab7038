"""The words of PromQL with their signature and what they do: what completion offers beside the metrics.

Source of meanings: https://prometheus.io/docs/prometheus/latest/querying/functions/ and /operators/. A test holds this
list equal to what the evaluator knows.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Word:
    """One function or aggregation: `signature` as people write it, `help` one sentence."""

    signature: str
    help: str | Promise


AGGREGATIONS: dict[str, Word] = {
    "sum": Word("sum by (l) (v)", _("Sum of the values.")),
    "avg": Word("avg by (l) (v)", _("Mean of the values.")),
    "min": Word("min by (l) (v)", _("Smallest value.")),
    "max": Word("max by (l) (v)", _("Greatest value.")),
    "count": Word("count by (l) (v)", _("How many series there are.")),
    "group": Word("group by (l) (v)", _("1 for every group.")),
    "stddev": Word("stddev by (l) (v)", _("Standard deviation over the series.")),
    "stdvar": Word("stdvar by (l) (v)", _("Variance over the series.")),
    "topk": Word("topk(k, v)", _("The k series with the greatest values.")),
    "bottomk": Word("bottomk(k, v)", _("The k series with the smallest values.")),
    "limitk": Word("limitk(k, v)", _("Any k series of each group.")),
    "limit_ratio": Word("limit_ratio(r, v)", _("A share r of the series, the same ones each time.")),
    "quantile": Word("quantile(q, v)", _("The q-quantile over the series, q from 0 to 1.")),
    "count_values": Word('count_values("label", v)', _("How many series have each value.")),
}

FUNCTIONS: dict[str, Word] = {
    "rate": Word("rate(v[5m])", _("Increase of a counter per second, mean over the range; survives restarts.")),
    "irate": Word("irate(v[5m])", _("Increase per second between the last two samples.")),
    "increase": Word("increase(v[1h])", _("How much a counter grew over the range.")),
    "delta": Word("delta(v[1h])", _("Difference of a gauge over the range.")),
    "idelta": Word("idelta(v[5m])", _("Difference of the last two samples.")),
    "deriv": Word("deriv(v[1h])", _("Slope of a gauge per second, by least squares.")),
    "predict_linear": Word("predict_linear(v[6h], seconds)", _("Value of a gauge that many seconds from now.")),
    "double_exponential_smoothing": Word(
        "double_exponential_smoothing(v[1h], sf, tf)", _("A gauge smoothed with its trend.")
    ),
    "holt_winters": Word("holt_winters(v[1h], sf, tf)", _("The earlier name of double_exponential_smoothing.")),
    "changes": Word("changes(v[1h])", _("How often the value changed in the range.")),
    "resets": Word("resets(v[1h])", _("How often a counter started again in the range.")),
    "avg_over_time": Word("avg_over_time(v[1h])", _("Mean of the samples in the range.")),
    "min_over_time": Word("min_over_time(v[1h])", _("Smallest sample in the range.")),
    "max_over_time": Word("max_over_time(v[1h])", _("Greatest sample in the range.")),
    "sum_over_time": Word("sum_over_time(v[1h])", _("Sum of the samples in the range.")),
    "count_over_time": Word("count_over_time(v[1h])", _("How many samples the range holds.")),
    "quantile_over_time": Word("quantile_over_time(q, v[1h])", _("The q-quantile of the samples in the range.")),
    "stddev_over_time": Word("stddev_over_time(v[1h])", _("Standard deviation of the samples in the range.")),
    "stdvar_over_time": Word("stdvar_over_time(v[1h])", _("Variance of the samples in the range.")),
    "mad_over_time": Word("mad_over_time(v[1h])", _("Median absolute deviation of the samples in the range.")),
    "last_over_time": Word("last_over_time(v[1h])", _("Newest sample in the range.")),
    "first_over_time": Word("first_over_time(v[1h])", _("Oldest sample in the range.")),
    "present_over_time": Word("present_over_time(v[1h])", _("1 where the range holds a sample.")),
    "absent_over_time": Word("absent_over_time(v[1h])", _("1 when the range holds no sample at all.")),
    "ts_of_last_over_time": Word("ts_of_last_over_time(v[1h])", _("When the newest sample was taken.")),
    "ts_of_first_over_time": Word("ts_of_first_over_time(v[1h])", _("When the oldest sample was taken.")),
    "ts_of_min_over_time": Word("ts_of_min_over_time(v[1h])", _("When the smallest sample was taken.")),
    "ts_of_max_over_time": Word("ts_of_max_over_time(v[1h])", _("When the greatest sample was taken.")),
    "histogram_quantile": Word(
        "histogram_quantile(0.95, sum by (le) (rate(v_bucket[5m])))",
        _("The quantile of a histogram, from its buckets."),
    ),
    "histogram_quantiles": Word(
        'histogram_quantiles(v, "q", 0.5, 0.95)', _("Several quantiles of a histogram, each with a label.")
    ),
    "histogram_fraction": Word(
        "histogram_fraction(lower, upper, v)", _("Which share of a histogram lies between two values.")
    ),
    "histogram_avg": Word("histogram_avg(v)", _("Mean of a native histogram.")),
    "histogram_count": Word("histogram_count(v)", _("Count of a native histogram.")),
    "histogram_sum": Word("histogram_sum(v)", _("Sum of a native histogram.")),
    "histogram_stddev": Word("histogram_stddev(v)", _("Standard deviation of a native histogram.")),
    "histogram_stdvar": Word("histogram_stdvar(v)", _("Variance of a native histogram.")),
    "absent": Word("absent(v)", _("1 when nothing is there.")),
    "label_replace": Word(
        'label_replace(v, "dst", "$1", "src", "(.*)")', _("Set a label from another by a regular expression.")
    ),
    "label_join": Word('label_join(v, "dst", ",", "a", "b")', _("Set a label from several others.")),
    "info": Word("info(v)", _("Add the labels of info metrics, such as target_info.")),
    "sort": Word("sort(v)", _("In order of the values, smallest first.")),
    "sort_desc": Word("sort_desc(v)", _("In order of the values, greatest first.")),
    "sort_by_label": Word('sort_by_label(v, "label")', _("In order of a label.")),
    "sort_by_label_desc": Word('sort_by_label_desc(v, "label")', _("In reverse order of a label.")),
    "scalar": Word("scalar(v)", _("The one value of a vector as a number.")),
    "vector": Word("vector(s)", _("A number as a vector without labels.")),
    "timestamp": Word("timestamp(v)", _("When each sample was taken, in seconds since 1970.")),
    "time": Word("time()", _("The time of evaluation, in seconds since 1970.")),
    "start": Word("start()", _("Start of the query's range, in seconds since 1970.")),
    "end": Word("end()", _("End of the query's range, in seconds since 1970.")),
    "range": Word("range()", _("Length of the query's range in seconds.")),
    "step": Word("step()", _("Step of the query in seconds.")),
    "clamp": Word("clamp(v, min, max)", _("Values kept between two bounds.")),
    "clamp_min": Word("clamp_min(v, min)", _("Values kept at or above a bound.")),
    "clamp_max": Word("clamp_max(v, max)", _("Values kept at or below a bound.")),
    "min_of": Word("min_of(a, b)", _("The smaller of two numbers.")),
    "max_of": Word("max_of(a, b)", _("The greater of two numbers.")),
    "round": Word("round(v, to_nearest)", _("Rounded to the nearest multiple.")),
    "abs": Word("abs(v)", _("Without the sign.")),
    "ceil": Word("ceil(v)", _("Rounded up.")),
    "floor": Word("floor(v)", _("Rounded down.")),
    "exp": Word("exp(v)", _("e to the power of the value.")),
    "sqrt": Word("sqrt(v)", _("Square root.")),
    "ln": Word("ln(v)", _("Natural logarithm.")),
    "log2": Word("log2(v)", _("Logarithm to base 2.")),
    "log10": Word("log10(v)", _("Logarithm to base 10.")),
    "sgn": Word("sgn(v)", _("1, 0 or -1 by the sign.")),
    "deg": Word("deg(v)", _("Radians in degrees.")),
    "rad": Word("rad(v)", _("Degrees in radians.")),
    "pi": Word("pi()", _("The number pi.")),
    "year": Word("year(v)", _("Year of a time, in UTC.")),
    "month": Word("month(v)", _("Month of a time, 1 to 12, in UTC.")),
    "day_of_month": Word("day_of_month(v)", _("Day of the month, 1 to 31, in UTC.")),
    "day_of_week": Word("day_of_week(v)", _("Day of the week, 0 (Sunday) to 6, in UTC.")),
    "day_of_year": Word("day_of_year(v)", _("Day of the year, 1 to 366, in UTC.")),
    "days_in_month": Word("days_in_month(v)", _("How many days the month has.")),
    "hour": Word("hour(v)", _("Hour of the day, 0 to 23, in UTC.")),
    "minute": Word("minute(v)", _("Minute of the hour, 0 to 59, in UTC.")),
}
TRIGONOMETRY = (
    *("sin", "cos", "tan", "asin", "acos", "atan"),
    *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
)
FUNCTIONS |= {name: Word(f"{name}(v)", _("Trigonometric function, in radians.")) for name in TRIGONOMETRY}

KEYWORDS = (
    *("by", "without", "on", "ignoring", "group_left", "group_right"),
    *("and", "or", "unless", "atan2", "offset", "bool"),
)
DURATIONS = ("1m", "5m", "15m", "30m", "1h", "6h", "1d", "7d", "30d")
