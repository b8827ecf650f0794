"""``driftline.yaml`` into typed settings; every fault is found at once and named with its remedy."""

from __future__ import annotations

import difflib
import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from driftline import files
from driftline.columns import MAX_TEXT_BYTES
from driftline.contacts import UNOWNED, Alerting
from driftline.drift import DEFAULT_STATISTICS
from driftline.errors import ConfigurationError
from driftline.names import OTHER
from driftline.statistics import STATISTICS

UNIX = "unix://"
"""Begins the address of a socket in the file system, such as ``unix:///run/driftline.sock``."""
GUARDS = "give tls: or token_file:, or write insecure: true"
"""What an address that can be reached from elsewhere needs."""
MAX_FILE_BYTES = 1 << 20
RULES_WINDOWS = ("24h", "7d")
"""The windows in which the shipped rules read how much panes differ."""
UNKNOWN_TIER = "unknown"

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = r"(\d{1,9})(w|d|h|ms|m|s)"


def parse_duration(text: str) -> float:
    """Return the seconds of a duration as Prometheus writes them.

    >>> parse_duration("1h30m"), parse_duration("500ms")
    (5400.0, 0.5)

    Raises:
        ValueError: *text* is no duration, or is 0.
    """
    if not re.fullmatch(f"({_PART})+", text):
        raise ValueError(f'"{text}" is not a duration, write for instance "1h" or "15m"')
    seconds = sum(int(number) * _UNITS[unit] for number, unit in re.findall(_PART, text))
    if seconds <= 0:
        raise ValueError(f'"{text}" is no time at all, write at least "1s"')
    return float(seconds)


def _as_duration(value: Any) -> Any:
    if isinstance(value, float):
        return value  # a default of ours
    if not isinstance(value, str):
        raise ValueError(f'{_shown(value)} is not a duration, write for instance "1h"')  # noqa: TRY004 - pydantic
    return parse_duration(value)


def _is_address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    sound = port.isdigit() and int(port) <= 65535
    if not colon or not host or not sound:
        raise ValueError(
            f'"{value}" is not an address, write for instance "127.0.0.1:{port if sound else 4327}"'
        )
    return value


def _is_http_address(value: str) -> str:
    return value if value.startswith(f"{UNIX}/") and len(value) > len(UNIX) + 1 else _is_address(value)


def _is_path(value: Path) -> Path:
    if "\0" in str(value):
        raise ValueError("holds a zero byte, which no path may")
    return value


def _is_number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{_shown(value)} is not a number")  # noqa: TRY004 - pydantic
    return value


def _is_statistic(value: str) -> str:
    if value not in STATISTICS:
        raise ValueError(f'"{value}" is no statistic, there are {", ".join(STATISTICS)}')
    return value


def _are_segments(value: dict[str, list[str]]) -> dict[str, list[str]]:
    for name, segments in value.items():
        if not name or "=" in name:
            raise ValueError(f'"{name}" is no attribute: it is text without "="')
        if not segments:
            raise ValueError(
                f"{name}: none given, write for instance [de, fr]; what is in none of them is other"
            )
        for segment in segments:
            if segment == OTHER:
                raise ValueError(f'{name}: "{OTHER}" is what is in none of them, leave it out')
            if segments.count(segment) > 1:
                raise ValueError(f'{name}: "{segment}" stands twice')
            if len(f"{name}={segment}".encode()) > MAX_TEXT_BYTES:
                raise ValueError(f"{name}: longer than {MAX_TEXT_BYTES} bytes: {segment[:20]}...")
    return value


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if isinstance(value, bool):
        return "yes/true" if value else "no/false"
    return "nothing" if value is None else repr(value)


File = Annotated[Path, AfterValidator(_is_path)]
Duration = Annotated[float, BeforeValidator(_as_duration)]
Address = Annotated[StrictStr, AfterValidator(_is_address)]
HttpAddress = Annotated[StrictStr, AfterValidator(_is_http_address)]
Statistic = Annotated[StrictStr, AfterValidator(_is_statistic)]
Segments = Annotated[dict[StrictStr, list[StrictStr]], AfterValidator(_are_segments)]
Priority = Literal["P3", "P2"]
Count = Annotated[StrictInt, Field(ge=1)]
Score = Annotated[float, BeforeValidator(_is_number), Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, BeforeValidator(_is_number), Field(gt=0, lt=1)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tls(_Settings):
    """Files of the sidecar's certificate, and of the authority that signs its clients'."""

    cert: File
    key: File
    client_ca: File | None = None


class Listen(_Settings):
    """Where the sidecar listens, and who may speak to it. One rule for all three ports."""

    grpc: Address | None = "127.0.0.1:4327"
    http: HttpAddress | None = "127.0.0.1:4328"
    metrics: Address = "127.0.0.1:9477"
    tls: Tls | None = None
    token_file: File | None = None
    insecure: StrictBool = False

    @model_validator(mode="after")
    def _guarded(self) -> Listen:
        """Off loopback an address needs TLS, a token, or the user's written word."""
        if self.tls or self.token_file or self.insecure:
            return self
        for name in ("grpc", "http", "metrics"):
            address = getattr(self, name)
            if address and not is_loopback(address):
                raise ValueError(f'{name}: "{address}" can be reached from elsewhere: {GUARDS}')
        return self


def is_loopback(address: str) -> bool:
    """Return whether ``host:port``, or a socket in the file system, can be reached from this machine only."""
    if address.startswith(UNIX):
        return True
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class State(_Settings):
    """Where windows survive a restart, and how often they are written."""

    path: File = Path("state/")
    every: Duration = 60.0


class Limits(_Settings):
    """How much is counted before further names are refused, and how far ahead ``@time`` may be."""

    models: Count = 100
    versions: Count = 5
    features: Count = 500
    segments: Count = 50
    skew: Duration = 600.0


def _with_defaults(psi: dict[Priority, float]) -> dict[Priority, float]:
    """Return *psi* with the default of what is not given: without a threshold no rule ever fires."""
    return {"P3": 0.1, "P2": 0.25, **psi}


class Thresholds(_Settings):
    """At which PSI an alert of each priority starts."""

    psi: Annotated[dict[Priority, Score], AfterValidator(_with_defaults)] = _with_defaults({})


class FeatureThresholds(_Settings):
    """Thresholds of one feature; a priority not given is the model's."""

    psi: dict[Priority, Score] = {}


class Feature(_Settings):
    """What is said about one feature of a model."""

    ignore: StrictBool = False
    thresholds: FeatureThresholds = FeatureThresholds()


class Model(_Settings):
    """What is said about one model.

    ``segments`` names the values of an attribute, a feature or a name used in ``@segment``, whose rows are
    counted by themselves, too. Answers of at most ``confidence`` are counted as unsure. ``attribution`` sums
    the score by the bins of every feature. A ``retired`` model is not missed, and forgotten when no rows come.
    """

    owner: Annotated[StrictStr, Field(min_length=1)] = UNOWNED
    tier: Annotated[StrictStr, Field(min_length=1)] = UNKNOWN_TIER
    silence: Duration = 3600.0
    min_rows: Count = 200
    thresholds: Thresholds = Thresholds()
    features: dict[StrictStr, Feature] = {}
    segments: Segments = {}
    confidence: Share | None = None
    attribution: StrictBool = False
    retired: StrictBool = False

    @model_validator(mode="after")
    def _rising_thresholds(self) -> Model:
        """A ticket below the page: a P3 above the P2 is one of the two forgotten."""
        for where, psi in (
            ("", self.thresholds.psi),
            *((f"features.{name}.", self.psi_thresholds(name)) for name in self.features),
        ):
            if psi["P3"] > psi["P2"]:
                raise ValueError(
                    f"{where}thresholds.psi: P3 is {psi['P3']}, above P2, {psi['P2']}: "
                    f"give P2, too, for instance {2.5 * psi['P3']:g}"
                )
        return self

    def psi_thresholds(self, feature: str) -> dict[Priority, float]:
        """Return the PSI at which an alert of each priority starts for *feature*."""
        own = self.features[feature].thresholds.psi if feature in self.features else {}
        return {**self.thresholds.psi, **own}

    def ignores(self, feature: str) -> bool:
        """Return whether *feature* is left out."""
        return feature in self.features and self.features[feature].ignore


class Config(_Settings):
    """The whole of ``driftline.yaml``.

    ``windows`` maps a window's name, which is also its length, to the length of its panes; ``statistics``
    are the drift scores that this sidecar shows of its own rows.
    """

    environment: Annotated[StrictStr, Field(min_length=1, max_length=128)]
    listen: Listen = Listen()
    baselines: list[File] = [Path("baselines/")]
    state: State = State()
    windows: dict[StrictStr, Duration] = {"1h": 300.0, "24h": 3600.0, "7d": 21600.0, "30d": 86400.0}
    limits: Limits = Limits()
    statistics: list[Statistic] = [*DEFAULT_STATISTICS]
    models: dict[StrictStr, Model] = {}
    alerting: Alerting | None = None

    @model_validator(mode="after")
    def _whole_windows(self) -> Config:
        for name, pane in self.windows.items():
            length = parse_duration(name)
            if length < 2 * pane:
                raise ValueError(f"windows.{name}: a window needs at least two panes, make its pane shorter")
            if length / pane > 1000:
                raise ValueError(f"windows.{name}: more than 1000 panes, make its pane longer")
        if not self.windows:
            raise ValueError('windows: none given, write for instance {"24h": 1h}')
        return self

    @model_validator(mode="after")
    def _few_segments(self) -> Config:
        for name, model in self.models.items():
            segments = sum(len(values) + 1 for values in model.segments.values())  # and other
            if segments > self.limits.segments:
                raise ValueError(
                    f"models.{name}.segments: {segments} with those called other, limits.segments is "
                    f"{self.limits.segments}; each costs about 8 series a feature"
                )
        return self

    @property
    def unjudged(self) -> str | None:
        """Return what keeps the shipped rules from a verdict, None when nothing does."""
        missing = [name for name in RULES_WINDOWS if name not in self.windows]
        if not missing:
            return None
        return f"windows: without {' and '.join(missing)} the shipped rules judge drift late or not at all"

    @property
    def untold(self) -> list[str]:
        """Return a line for every owner of a model whom ``alerting`` does not know how to reach."""
        if self.alerting is None:
            return []
        owners = {model.owner for model in self.models.values()} - self.alerting.contacts.keys()
        return [
            f"alerting: {owner} owns models and is none of contacts: told as unowned"
            for owner in sorted(owners)
        ]

    @property
    def longest_window(self) -> float:
        """Seconds of the longest window."""
        return max(parse_duration(name) for name in self.windows)

    @property
    def tick(self) -> float:
        """Seconds between two scorings: the shortest pane, at most 15."""
        return min(15.0, *self.windows.values())


class _Loader(yaml.SafeLoader):
    """Safe YAML without what a configuration never needs: duplicate keys and aliases."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed, write it out", mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None,
                    None,
                    f'the key {key_node.value} is not text, write "{key_node.value}"',
                    key_node.start_mark,
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def load(path: Path) -> Config:
    """Read *path*; its relative paths are taken from its own folder.

    Raises:
        ConfigurationError: The file cannot be read or used; every fault is named.
    """
    try:
        raw = files.read(path, MAX_FILE_BYTES)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    return parse(raw, name=path.name, folder=path.absolute().parent)


def parse(raw: bytes | str, *, name: str = "driftline.yaml", folder: Path) -> Config:
    """Read the text of a configuration whose relative paths are taken from *folder*.

    Raises:
        ConfigurationError: It cannot be used; every fault is named.
    """
    try:
        tree = yaml.load(raw, _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{name}: {_one_line(error)}") from error
    if not isinstance(tree, dict):
        raise ConfigurationError(f'{name}: not a mapping, begin with "environment: prod"')
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigurationError([f"{name}: {_fault(item)}" for item in error.errors()]) from None
    return _anchored(config, folder)


def _one_line(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return " ".join(str(error).split()) or type(error).__name__


def _fault(item: Any) -> str:
    where = ".".join(str(part) for part in item["loc"] if part != "[key]")
    kind, value = item["type"], item["input"]
    remedies = {
        "missing": "is required",
        "extra_forbidden": f"is no setting of this release{_similar(where)}",
        "string_type": f"{_shown(value)} is not text, put it in quotes",
        "bool_type": f"{_shown(value)} is neither true nor false",
        "int_type": f"{_shown(value)} is not a whole number",
        "float_parsing": f"{_shown(value)} is not a number",
        "float_type": f"{_shown(value)} is not a number",
        "dict_type": f"{_shown(value)} is not a mapping",
        "model_type": f"{_shown(value)} is not a mapping",
        "list_type": f"{_shown(value)} is not a list, write [{value}]",
        "path_type": f"{_shown(value)} is not a path",
        "literal_error": f"{_shown(value)} is none of {item.get('ctx', {}).get('expected')}",
    }
    text = remedies.get(kind) or item["msg"].removeprefix("Value error, ")
    return f"{where}: {text}" if where else text


_PLACES: dict[type[_Settings], str] = {
    Config: "at the top of the file",
    Listen: "under listen:",
    Tls: "under listen.tls:",
    State: "under state:",
    Limits: "under limits:",
    Model: "under models.<model>:",
    Thresholds: "under models.<model>.thresholds:",
    Feature: "under models.<model>.features.<feature>:",
}


def _similar(where: str) -> str:
    key = where.rpartition(".")[2]
    known = {name: place for kind, place in reversed(_PLACES.items()) for name in kind.model_fields}
    if key in known:
        return f" here; it stands {known[key]}"
    found = difflib.get_close_matches(key, sorted(known), 1)
    return f"; did you mean {found[0]}?" if found else ""


def _anchored(config: Config, folder: Path) -> Config:
    listen = config.listen
    tls = listen.tls
    if tls:
        tls = tls.model_copy(
            update={
                "cert": folder / tls.cert,
                "key": folder / tls.key,
                "client_ca": folder / tls.client_ca if tls.client_ca else None,
            }
        )
    token_file = folder / listen.token_file if listen.token_file else None
    return config.model_copy(
        update={
            "listen": listen.model_copy(update={"tls": tls, "token_file": token_file}),
            "baselines": [folder / path for path in config.baselines],
            "state": config.state.model_copy(update={"path": folder / config.state.path}),
        }
    )
