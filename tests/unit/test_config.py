"""driftline.yaml is read strictly, and every fault is named with its remedy."""

import textwrap
from pathlib import Path

import pytest

from driftline import config
from driftline.errors import ConfigurationError

FOLDER = Path("/etc/driftline")


def parse(text):
    return config.parse(textwrap.dedent(text), folder=FOLDER)


def faults(text):
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    return caught.value.faults


def test_the_least_is_an_environment():
    """One line is a whole configuration: loopback ports, four windows, paths beside the file."""
    read = parse("environment: prod")
    assert (read.listen.grpc, read.listen.http, read.listen.metrics) == (
        "127.0.0.1:4327",
        "127.0.0.1:4328",
        "127.0.0.1:9477",
    )
    assert read.windows == {"1h": 300, "24h": 3600, "7d": 21600, "30d": 86400}
    assert read.baselines == [FOLDER / "baselines"]
    assert read.state.path == FOLDER / "state"
    assert read.tick == 15
    assert read.longest_window == 30 * 86400


def test_everything_can_be_said():
    """The contract's example reads as it is written."""
    read = parse(
        """
        environment: prod
        listen: {grpc: "0.0.0.0:4327", http: "127.0.0.1:4328", metrics: "127.0.0.1:9477", token_file: token}
        baselines: ["baselines/"]
        state: {path: "state/", every: 60s}
        windows: {1h: 5m, 24h: 1h}
        limits: {models: 100, versions: 5, features: 500, segments: 50, skew: 10m}
        models:
          fraud:
            owner: payments
            tier: "1"
            silence: 15m
            min_rows: 300
            thresholds: {psi: {P3: 0.1, P2: 0.25}}
            features: {event_time: {ignore: true}, amount: {thresholds: {psi: {P3: 0.2}}}}
            segments: {country: [de, fr], plan: ["1"]}
            confidence: 0.6
        """
    )
    fraud = read.models["fraud"]
    assert (fraud.owner, fraud.tier, fraud.silence, fraud.min_rows) == ("payments", "1", 900, 300)
    assert fraud.psi_thresholds("amount") == {"P3": 0.2, "P2": 0.25}
    assert fraud.psi_thresholds("age") == {"P3": 0.1, "P2": 0.25}
    assert fraud.ignores("event_time")
    assert not fraud.ignores("amount")
    assert fraud.segments == {"country": ["de", "fr"], "plan": ["1"]}
    assert read.listen.token_file == FOLDER / "token"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("{P3: 0.2}", {"P3": 0.2, "P2": 0.25}),
        ("{P2: 0.5}", {"P3": 0.1, "P2": 0.5}),
        ("{}", {"P3": 0.1, "P2": 0.25}),
    ],
)
def test_a_threshold_that_is_not_given_keeps_its_default(given, kept):
    """One that is set takes the other away from no rule: without a threshold an alert never fires."""
    read = parse(f"environment: prod\nmodels: {{fraud: {{thresholds: {{psi: {given}}}}}}}")
    assert read.models["fraud"].psi_thresholds("amount") == kept


def test_a_setting_in_the_wrong_place_is_told_where_it_stands():
    """What is a setting elsewhere is not called its own misspelling."""
    found = faults("environment: prod\nowner: payments\nmodels: {fraud: {statistics: [psi], ownr: a}}")
    assert found == (
        "driftline.yaml: models.fraud.statistics: is no setting of this release here; it stands at the top of the file",
        "driftline.yaml: models.fraud.ownr: is no setting of this release; did you mean owner?",
        "driftline.yaml: owner: is no setting of this release here; it stands under models.<model>:",
    )


def test_all_faults_are_named_at_once():
    """One start shows every mistake, with the key it stands at and what may stand there."""
    found = faults(
        """
        environment: prod
        windows: {1h: 5x}
        colour: red
        models:
          credit: {owner: no, tier: 1, silence: 1 hour, min_rows: 0}
          fraud: {thresholds: {psi: {P9: 0.1}}}
        """
    )
    assert found == (
        'driftline.yaml: windows.1h: "5x" is not a duration, write for instance "1h" or "15m"',
        "driftline.yaml: models.credit.owner: no/false is not text, put it in quotes",
        "driftline.yaml: models.credit.tier: 1 is not text, put it in quotes",
        'driftline.yaml: models.credit.silence: "1 hour" is not a duration, write for instance "1h" or "15m"',
        "driftline.yaml: models.credit.min_rows: Input should be greater than or equal to 1",
        "driftline.yaml: models.fraud.thresholds.psi.P9: 'P9' is none of 'P3' or 'P2'",
        "driftline.yaml: colour: is no setting of this release",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a mapping"),
        ("- 1", "not a mapping"),
        ("models: {}", "environment: is required"),
        ("environment: a\nenvironment: b", "line 2: the key environment stands twice"),
        ("environment: &a x\nmodels: {y: *a}", "line 2: aliases are not allowed"),
        ("environment: a\nno: b", 'the key no is not text, write "no"'),
        ("environment: [", "line"),
        ("environment: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        (
            "environment: a\nlisten: {http: '4328'}",
            '"4328" is not an address, write for instance "127.0.0.1:4328"',
        ),
        (
            "environment: a\nmodels: {m: {thresholds: {psi: {P3: 0.4}}}}",
            "m: thresholds.psi: P3 is 0.4, above P2, 0.25: give P2",
        ),
        (
            "environment: a\nmodels: {m: {features: {x: {thresholds: {psi: {P3: 1}}}}}}",
            "m: features.x.thresholds.psi: P3 is 1.0",
        ),
        ("environment: a\nlisten: {http: 'h:99999'}", "is not an address"),
        ("environment: a\nwindows: {1h: 50m}", "at least two panes"),
        ("environment: a\nwindows: {30d: 1m}", "more than 1000 panes"),
        ("environment: a\nwindows: {}", "windows: none given"),
        ("environment: a\nstate: {every: 0s}", "no time at all"),
        ("environment: a\nmodels: {m: {thresholds: {psi: {P3: yes}}}}", "P3: yes/true is not a number"),
        (f"environment: a\nstate: {{every: {'9' * 400}s}}", "is not a duration"),
        ("environment: a\nmodels: {m: 3}", "models.m: 3 is not a mapping"),
        ("environment: a\nbaselines: b", "is not a list"),
        ("environment: a\nmodels: {m: {confidence: 60}}", "m.confidence: Input should be less than 1"),
        ("environment: a\nmodels: {m: {confidence: '0.6'}}", "m.confidence: '0.6' is not a number"),
        ("environment: a\nmodels: {m: {segments: {zone: [1]}}}", "1 is not text, put it in quotes"),
        ("environment: a\nmodels: {m: {segments: {zone: [no]}}}", "no/false is not text, put it in quotes"),
        ("environment: a\nmodels: {m: {segments: {zone: de}}}", "'de' is not a list, write [de]"),
        ("environment: a\nmodels: {m: {segments: {zone: []}}}", "m.segments: zone: none given"),
        ("environment: a\nmodels: {m: {segments: {'z=': [a]}}}", '"z=" is no attribute'),
        ("environment: a\nmodels: {m: {segments: {z: [a, a]}}}", 'z: "a" stands twice'),
        ("environment: a\nmodels: {m: {segments: {z: [other]}}}", "is what is in none of them, leave it out"),
        (f"environment: a\nmodels: {{m: {{segments: {{z: [{'y' * 130}]}}}}}}", "z: longer than 128 bytes"),
        (
            f"environment: a\nmodels: {{m: {{segments: {{z: {[*map(chr, range(0x4E00, 0x4E32))]}}}}}}}",
            "models.m.segments: 51 with those called other, limits.segments is 50",
        ),
    ],
)
def test_a_fault_is_one_clear_line(text, said):
    """What cannot be used is refused with the place and the remedy."""
    (line,) = faults(text)
    assert said in line
    assert "\n" not in line


@pytest.mark.parametrize("port", ["grpc", "http", "metrics"])
def test_off_loopback_needs_a_guard_or_a_word(port):
    """An address that others reach is refused unless TLS, a token or insecure: true is written."""
    (line,) = faults(f"environment: a\nlisten: {{{port}: '0.0.0.0:9000'}}")
    assert "can be reached from elsewhere" in line
    assert "insecure: true" in line
    for guard in ("insecure: true", "token_file: t", "tls: {cert: c, key: k}"):
        parse(f"environment: a\nlisten: {{{port}: '0.0.0.0:9000', {guard}}}")


@pytest.mark.parametrize("address", ["localhost:1", "127.8.0.1:1", "[::1]:1"])
def test_loopback_is_known(address):
    """Every spelling of this machine alone is loopback."""
    assert config.is_loopback(address)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    """A missing file is one line, and so is a huge one."""
    with pytest.raises(ConfigurationError, match="No such file"):
        config.load(tmp_path / "driftline.yaml")
    (tmp_path / "huge.yaml").write_bytes(b"#" * (config.MAX_FILE_BYTES + 1))
    with pytest.raises(ConfigurationError, match="larger than"):
        config.load(tmp_path / "huge.yaml")


def test_paths_are_taken_from_the_files_folder(tmp_path):
    """The file can be moved with what it names."""
    (tmp_path / "driftline.yaml").write_text(
        "environment: a\nlisten: {tls: {cert: c.pem, key: k.pem, client_ca: ca.pem}}\nbaselines: [b/, /abs/x.json]"
    )
    read = config.load(tmp_path / "driftline.yaml")
    assert read.listen.tls.cert == tmp_path / "c.pem"
    assert read.listen.tls.client_ca == tmp_path / "ca.pem"
    assert read.baselines == [tmp_path / "b", Path("/abs/x.json")]


@pytest.mark.parametrize(
    ("text", "seconds"), [("5m", 300), ("1h30m", 5400), ("250ms", 0.25), ("2w", 1209600)]
)
def test_durations(text, seconds):
    """A duration is written as Prometheus writes it."""
    assert config.parse_duration(text) == seconds


def test_windows_that_the_rules_read_are_missed():
    """A configuration without 24h or 7d works, and says that the shipped rules will not judge."""
    assert parse("environment: a").unjudged is None
    assert "without 7d" in parse("environment: a\nwindows: {24h: 1h}").unjudged
    assert "without 24h and 7d" in parse("environment: a\nwindows: {1h: 5m}").unjudged


def test_statistics_are_known_ones():
    """A name that is no statistic is refused with those that are."""
    assert parse("environment: a").statistics == [
        "psi",
        "jensen_shannon",
        "kolmogorov_smirnov",
        "wasserstein",
    ]
    (line,) = faults("environment: a\nstatistics: [psi, ks]")
    assert 'statistics.1: "ks" is no statistic, there are psi, jensen_shannon' in line
