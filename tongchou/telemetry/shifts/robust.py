"""Medians and quantiles along the last axis that pass over gaps; NaN where there is nothing but gaps. Pure NumPy."""

from __future__ import annotations

import numpy as np

from tongchou.telemetry.series import Float64s, Int64s


def count(values: Float64s) -> Int64s:
    """How many samples each row has."""
    return np.asarray(np.isfinite(values).sum(axis=-1), np.int64)


def quantile(values: Float64s, share: float) -> Float64s:
    """The quantile of each row's samples, linear between two of them; unlike `nanquantile` it never warns."""
    if not values.shape[-1]:
        return np.full(values.shape[:-1], np.nan)
    ordered = np.sort(np.where(np.isfinite(values), values, np.nan), axis=-1)  # NaN comes last
    known = count(values)
    place = share * np.maximum(known - 1, 0)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(known - 1, 0))
    below = np.take_along_axis(ordered, low[..., None], axis=-1)[..., 0]
    above = np.take_along_axis(ordered, high[..., None], axis=-1)[..., 0]
    return np.asarray(below + (above - below) * (place - low))


def median(values: Float64s) -> Float64s:
    """The median of each row's samples."""
    return quantile(values, 0.5)


def mean(values: Float64s) -> Float64s:
    """The mean of each row's samples."""
    known = count(values)
    total = np.where(np.isfinite(values), values, 0.0).sum(axis=-1)
    return np.asarray(np.where(known > 0, total / np.maximum(known, 1), np.nan))


def deviation(values: Float64s) -> Float64s:
    """The standard deviation of each row's samples, of the population."""
    away = values - mean(values)[..., None]
    return np.asarray(np.sqrt(mean(away * away)))


def smooth(values: Float64s, width: int) -> Float64s:
    """A running median over `width` (odd) steps."""
    half = width // 2
    padded = np.pad(values, ((0, 0), (half, half)), constant_values=np.nan)
    return median(np.lib.stride_tricks.sliding_window_view(padded, width, axis=1))
