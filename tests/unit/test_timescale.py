"""Tests of the clock that the demo and the stack tests run the shipped rules on."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.cli.timescale import format_duration, scaled, scaled_duration
from driftline.config import parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rate(x[1h])", "rate(x[5s])"),
        ("sum_over_time(x[7d:1h])", "sum_over_time(x[14m:5s])"),
        ("x offset 1w", "x offset 14m"),
        ("x offset -1d", "x offset -2m"),
        ('x{window="24h", model="24h"}', 'x{window="2m", model="24h"}'),
        ("    for: 15m", "    for: 1s250ms"),
        ("  - {name: a, interval: 1m, rules: []}", "  - {name: a, interval: 1s, rules: []}"),
        ("keep_firing_for: 1h30m", "keep_firing_for: 7s500ms"),
        ("group_wait: 0s", "group_wait: 0s"),
        ("group_interval: 1d", "group_interval: 2m"),
        ("repeat_interval: 7d", "repeat_interval: 14m"),
        ("scrape_interval: 15s", "scrape_interval: 1s"),
        ("resolve_timeout: 10m", "resolve_timeout: 1s"),
    ],
)
def test_every_place_of_a_duration(text, expected):
    """Each place that holds a duration is divided by the factor, and is never under a second."""
    assert scaled(text, 720) == expected


@pytest.mark.parametrize(
    "text",
    [
        "record: version_feature:driftline_feature_psi:training24h",
        "description: over the last 24h",
        "bin=~'[0-9]+'",
        "for: ever",
        "url: http://localhost:9093/15m",
        "times: [{start_time: '09:00', end_time: '18:00'}]",
    ],
)
def test_names_and_prose_stay(text):
    """What only looks like a duration stays: names of series, prose, addresses, hours of the day."""
    assert scaled(text, 720) == text


def test_a_factor_of_one_changes_nothing():
    """Run at normal speed the text is the shipped one, whatever units it was written in."""
    text = 'x{window="24h"}[7d:1d] offset 90s\nfor: 60m'
    assert scaled(text, 1) == text


@pytest.mark.parametrize("factor", [0, -1, float("nan")])
def test_no_clock(factor):
    """A factor that is no speed is refused, with one that is."""
    with pytest.raises(ValueError, match="above 0, for instance 720"):
        scaled("for: 1m", factor)


@given(milliseconds=st.integers(1, 10**10))
def test_durations_read_back(milliseconds):
    """What is written reads back to the millisecond, biggest unit first, as Prometheus demands."""
    text = format_duration(milliseconds / 1000)
    assert round(parse_duration(text) * 1000) == milliseconds
    assert re.fullmatch(r"(\d+h)?(\d+m)?(\d+s)?(\d+ms)?", text)


@given(hours=st.integers(1, 1000), factor=st.integers(1, 3600))
def test_windows_and_rules_agree(hours, factor):
    """A window of driftline.yaml scaled on its own has the name that the scaled rules ask for."""
    name = f"{hours}h"
    assert scaled(f'x{{window="{name}"}}', factor) == f'x{{window="{scaled_duration(name, factor)}"}}'
