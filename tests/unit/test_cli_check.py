"""driftline check-config says whether a sidecar would start, on what, and whether it runs."""

import pytest

from driftline.baseline import Baseline
from driftline.cli import main
from watched import baseline, table


@pytest.fixture
def folder(tmp_path):
    baseline().save(tmp_path / "baselines")
    (tmp_path / "driftline.yaml").write_text(
        'environment: prod\nlisten: {metrics: "127.0.0.1:1"}\nmodels: {fraud: {owner: payments}}\n'
    )
    return tmp_path


def test_a_good_configuration(folder, capsys):
    """0, and a line for every model with its owner."""
    assert main(["check-config", str(folder / "driftline.yaml")]) == 0
    said = capsys.readouterr().out
    assert "good, environment prod" in said
    assert "fraud 1: 4 features, owner payments" in said
    assert "does not run" in said
    assert "to look at" not in said


def test_what_is_odd_is_said(folder, capsys):
    """1 for a baseline nobody owns, a model without a baseline, windows that the rules miss."""
    (folder / "driftline.yaml").write_text(
        "environment: prod\nwindows: {1h: 5m}\nmodels: {churn: {}}\n"
        "baselines: [baselines/, nope/]\nstate: {path: driftline.yaml}\n"
    )
    assert main(["check-config", str(folder / "driftline.yaml")]) == 1
    said = capsys.readouterr().out
    assert said.startswith(f"{folder}/driftline.yaml: 5 to look at, environment prod\n")
    assert "fraud 1: 4 features, no owner: name it under models:" in said
    assert "nope: there is no such folder yet" in said
    assert "driftline.yaml: is no folder" in said
    assert "churn: no baseline, it will be learning" in said
    assert "without 24h and 7d" in said


def test_a_retired_model_is_said_and_not_odd(folder, capsys):
    """With a baseline or without: neither may stay on that account."""
    (folder / "driftline.yaml").write_text(
        "environment: prod\nmodels: {fraud: {retired: true}, churn: {retired: true}}\n"
    )
    assert main(["check-config", str(folder / "driftline.yaml")]) == 0
    said = capsys.readouterr().out
    assert "fraud: retired, its silence is no news" in said
    assert "churn: retired" in said
    assert "learning" not in said


def test_what_cannot_start_is_2(folder, capsys):
    """Every fault of the file, or of a baseline, on a line of its own."""
    (folder / "driftline.yaml").write_text("environment: no\ncolour: red\n")
    assert main(["check-config", str(folder / "driftline.yaml")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
    (folder / "driftline.yaml").write_text("environment: prod\n")
    (folder / "baselines" / "bad.json").write_text("{")
    assert main(["check-config", str(folder / "driftline.yaml")]) == 2
    assert "bad.json" in capsys.readouterr().err


def test_a_misspelt_feature_is_noticed(folder, capsys):
    """A threshold for a feature that no baseline has is a line, not silence."""
    (folder / "driftline.yaml").write_text(
        "environment: prod\nmodels: {fraud: {features: {amuont: {ignore: true}}}}\n"
    )
    assert main(["check-config", str(folder / "driftline.yaml")]) == 1
    assert "feature amuont is in no baseline of it" in capsys.readouterr().out


def test_attribution_without_a_score_is_noticed(folder, capsys):
    """What the sidecar would warn of at its start is told before: there is nothing to attribute."""
    (folder / "driftline.yaml").write_text(
        "environment: prod\nmodels: {fraud: {owner: payments, attribution: true}}\n"
    )
    assert main(["check-config", str(folder / "driftline.yaml")]) == 0
    Baseline.build(table(), model="fraud", version="1").save(folder / "baselines")
    capsys.readouterr()
    code = main(["check-config", str(folder / "driftline.yaml")])
    said = capsys.readouterr().out
    assert (code, "fraud 1: nothing to attribute, its baseline has no score" in said) == (1, True)


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ("{token_file: token}", "listen.token_file: {}/token cannot be read as a token: No such file or directory"),
        (
            "{tls: {cert: c.pem, key: driftline.yaml}}", "listen.tls: {}/c.pem: there is no such file",
        ),
        (
            "{tls: {cert: driftline.yaml, key: driftline.yaml}}",
            "listen.tls: {0}/driftline.yaml, {0}/driftline.yaml: [SSL] PEM lib",
        ),
    ],
)  # fmt: skip
def test_what_guards_a_port_is_read(folder, capsys, listen, said):
    """A token or a certificate without which the sidecar would not start is told before, once and by its file."""
    (folder / "driftline.yaml").write_text(f"environment: prod\nlisten: {listen}\n")
    assert main(["check-config", str(folder / "driftline.yaml")]) == 2
    assert capsys.readouterr().err.startswith(said.format(folder))


def test_segments_of_what_is_no_feature(folder, capsys):
    """An attribute that only rows can tell is named, for it may be misspelt; it is no fault, and one of a feature is none."""
    (folder / "driftline.yaml").write_text(
        "environment: prod\nmodels: {fraud: {owner: payments, segments: {plan: [pro], channel: [app]}}}\n"
    )
    assert main(["check-config", str(folder / "driftline.yaml")]) == 0
    said = capsys.readouterr().out
    assert (
        "fraud 1: segments of channel, which is no feature of it: rows have to say theirs as @segment" in said
    )
    assert "segments of plan" not in said
