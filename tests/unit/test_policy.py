"""What may leave the process, and what not even its buffer may hold."""

from __future__ import annotations

import gc
import hashlib
import os
import pickle
from types import FunctionType, ModuleType

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

import driftline
from driftline.errors import ConfigurationError
from driftline.instrumentation import problems
from driftline.instrumentation.buffer import Buffer
from driftline.instrumentation.inputs import read_features
from driftline.instrumentation.policy import Policy, hashed
from driftline.instrumentation.recorder import Call

add = Buffer.add
SECRET = 987654321.125
NUMBERS = {"ssn": [SECRET, SECRET], "amount": [1.5, 2.5], "amount_max": [3.5, 4.5]}
ARRAY = np.column_stack(list(NUMBERS.values()))
NAMES = tuple(NUMBERS)
FORMS = {
    "columns": NUMBERS,
    "arrays": {name: np.array(values) for name, values in NUMBERS.items()},
    "pandas": pd.DataFrame(NUMBERS),
    "polars": pl.DataFrame(NUMBERS),
    "arrow": pa.table(NUMBERS),
    "dictionaries": [dict(zip(NUMBERS, row, strict=True)) for row in ARRAY.tolist()],
    "lists": ARRAY.tolist(),
    "array": ARRAY,
    "sparse": sparse.csr_array(ARRAY),
    "structured": np.array([tuple(row) for row in ARRAY.tolist()], [(name, "f8") for name in NUMBERS]),
    "masked": np.ma.masked_array(ARRAY, np.zeros_like(ARRAY, bool)),
}


@pytest.mark.parametrize("form", FORMS)
def test_no_form_lets_a_denied_feature_out(receiver, form):
    """Whatever holds it, a denied feature does not travel, a hashed one as its hash, the rest as it is."""
    with driftline.observe(
        "m", "1", FORMS[form], feature_names=NAMES, ignore=["s?n"], hashed=["amount_*"]
    ) as call:
        call.prediction = [0.0, 1.0]
    driftline.flush()
    (batch,) = receiver.batches
    assert batch.columns.keys() == {"amount", "amount_max", "@prediction", "@latency"}
    assert receiver.values("amount") == [1.5, 2.5]
    assert receiver.values("amount_max") == [hashed("3.5"), hashed("4.5")]


@pytest.mark.parametrize("form", FORMS)
def test_a_name_that_keeps_nothing_back_is_told(receiver, form, caplog, monkeypatch):
    """A misspelt name lets what was meant leave: the log of the first call says so, with the features there are."""
    monkeypatch.setattr(problems, "_logged", set())
    for _ in range(2):
        with driftline.observe(
            "m", "1", FORMS[form], feature_names=NAMES, ignore=["sssn", "amount_*"], hashed=["amonut"]
        ) as call:
            call.prediction = [0.0, 1.0]
    assert [line.getMessage() for line in caplog.records] == [
        "no feature of m is called sssn or amonut, which keeps nothing back; they are ssn, amount, amount_max"
    ]


def test_a_table_without_names_has_none_to_keep_back(receiver, caplog, monkeypatch):
    """A feature that is denied by its name leaves all the same where nobody knows that it is this one."""
    monkeypatch.setattr(problems, "_logged", set())
    driftline.instrument(lambda rows: rows[:, 0], name="m", version="1", ignore=["ssn"])(ARRAY)
    assert "no feature of m is called ssn, which keeps nothing back; they are x0, x1, x2" in caplog.text


@pytest.mark.parametrize("form", FORMS)
def test_a_denied_feature_is_not_even_copied(form):
    """The copy that waits in the buffer holds nothing of it."""
    part = read_features(FORMS[form], NAMES).only(Policy(denied=("ssn",)).plain)
    part.own(None)
    held = pickle.dumps(gc.get_referents(part))
    assert part.names == ("amount", "amount_max")
    assert np.float64(SECRET).tobytes() not in held
    assert np.float64(SECRET).byteswap().tobytes() not in held


def held(*roots):
    """Return all that can be reached from what *roots* hold."""
    found, waiting = {}, list(roots)
    while waiting:
        one = waiting.pop()
        if id(one) in found or isinstance(one, (type, ModuleType, FunctionType)):
            continue
        found[id(one)] = one
        waiting += gc.get_referents(one)
        if isinstance(one, np.ndarray):
            waiting += [one.base, *(one.flat if one.dtype.kind == "O" else ())]
    return found.values()


def is_raw(one):
    """Tell whether a value of the column `amount_max` can be read off *one*."""
    if isinstance(one, np.ndarray) and one.dtype.kind == "f":
        return bool(np.isin(one, NUMBERS["amount_max"]).any())
    return str(one) in ("3.5", "4.5")


@pytest.mark.parametrize("form", FORMS)
def test_a_hash_comes_before_anything_waits(receiver, form, monkeypatch):
    """From the call's beginning on neither the call nor the buffer holds more of a hashed feature than its hash."""
    buffered = []
    monkeypatch.setattr(
        Buffer, "add", lambda _, entry, *more: (buffered.append(entry), add(_, entry, *more))[1]
    )
    with driftline.observe("m", "1", FORMS[form], feature_names=NAMES, hashed=["amount_max"]) as call:
        own = set(Call.__slots__) - {"features", "recorder", "_sender", "span"}
        during = list(held(*(getattr(call, name, None) for name in own)))
        call.prediction = [0.0, 1.0]
    for found in (during, held(*buffered)):
        assert hashed("3.5") in [one for one in found if isinstance(one, str)]
        assert not [one for one in found if is_raw(one)]
    assert is_raw(FORMS["array"])


class Unwilling(dict):
    """A table that tells what it holds when it is read."""

    def items(self):
        raise ValueError(f"what do you want with {SECRET}?")


@pytest.mark.parametrize("features", [Unwilling(ssn=SECRET), {"ssn": Unwilling(ssn=SECRET), "amount": 1.0}])
def test_no_error_tells_a_value(receiver, caplog, features):
    """Where features are limited, a foreign object's error is told by its kind: its words may be a value."""
    for limits in ({"hashed": ["ssn"]}, {"ignore": ["ssn"]}):
        with driftline.observe("m", "1", features, **limits):
            pass
    assert driftline.flush()
    assert receiver.rows() == 2
    assert str(SECRET) not in caplog.text


def test_one_row(receiver):
    """A dictionary of one row is held to it too, and a hash knows missing from empty."""
    for country in ("de", None, "", 1, 1.0, True):
        with driftline.observe(
            "m", "1", {"a": 1, "b": 2, "country": country}, allow=["a", "country"], hashed=["country"]
        ):
            pass  # fmt: skip
    driftline.flush()
    assert receiver.batches[0].columns.keys() == {"a", "country", "@latency"}
    texts = (hashed(text) for text in ("de", "", "1", "1", "true"))
    first, *others = texts
    assert receiver.values("country") == [first, None, *others]


def test_all_denied(receiver):
    """Where nothing may leave, the call still counts its rows and outputs."""
    for features in ({"a": 1}, {"a": [1]}, np.ones((1, 1)), pd.DataFrame({"a": [1]}), [{"a": 1}]):
        with driftline.observe("m", "1", features, allow=[]) as call:
            call.prediction = [3.0]
    driftline.flush()
    assert receiver.values("@prediction") == [3.0] * 5
    assert {name for batch in receiver.batches for name in batch.columns} == {"@prediction", "@latency"}


def test_the_environment_only_narrows(receiver, monkeypatch):
    """Whoever runs the service may keep more back than its developer, and never less."""
    monkeypatch.setenv("DRIFTLINE_ALLOW", "a,b , d")
    monkeypatch.setenv("DRIFTLINE_DENY", "b")
    monkeypatch.setenv("DRIFTLINE_HASH", "d")
    monkeypatch.setenv("DRIFTLINE_HASH_KEY", "pepper")
    model = driftline.instrument(len, name="m", version="1", allow=["a", "b", "c", "d"], ignore=["x"])
    model({"a": 1, "b": 1, "c": 1, "d": "de", "x": 1})
    driftline.flush()
    assert receiver.batches[0].columns.keys() == {"a", "d", "@prediction", "@latency"}
    assert receiver.values("d") == [hashed("de", b"pepper")] != [hashed("de")]


@pytest.mark.parametrize("argument", ["allow", "ignore", "hashed"])
def test_one_text_for_several(receiver, caplog, argument):
    """The letters of a name are no patterns: what was to be kept back would leave. It is refused, so nothing does."""
    with pytest.raises(ConfigurationError, match=f"{argument}: 'ssn' is one text; pass a list of names"):
        driftline.instrument(len, name="m", version="1", **{argument: "ssn"})
    with driftline.observe("m", "1", {"ssn": SECRET}, **{argument: "ssn"}) as call:
        call.prediction = 1.0
    driftline.flush()
    assert receiver.batches == []
    assert f"{argument}: 'ssn' is one text" in caplog.text


def test_every_byte_of_a_key_counts(receiver, monkeypatch):
    """A key longer than BLAKE2b takes is hashed first, as docs/serving.md says; one that is no text is taken as it is."""
    for key in (b"k" * 65, b"k" * 64 + b"l", b"\xff\xfe"):
        monkeypatch.setitem(os.environb, b"DRIFTLINE_HASH_KEY", key)
        driftline.instrument(len, name=f"m{key[-1]}", version="1", hashed=["a"])({"a": "de"})
        used = key if len(key) <= 64 else hashlib.blake2b(key).digest()
        expected = hashlib.blake2b(b"de", key=used, digest_size=8).hexdigest()
        assert driftline.flush()
        assert receiver.batches[-1].columns["a"].texts == (expected,)


def test_the_key_is_not_shown():
    """A policy that is printed or logged does not tell its key."""
    assert "pepper" not in repr(Policy.load(environ={"DRIFTLINE_HASH_KEY": "pepper"}))
