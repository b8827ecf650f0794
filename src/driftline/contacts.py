"""Who is told, as the section ``alerting`` of ``driftline.yaml`` says it: contacts, and how each is reached.

Four ways lead to a contact, one for each thing that a person does::

    page    P1 at any hour, P2 in business hours
    chat    P1 and P2 at once
    ticket  P3
    digest  P4, once a day

What a contact leaves out, the contact ``driftline`` takes: whoever runs driftline. To it goes, too, what
nobody owns, under a receiver of its own name that every message states.
"""

from __future__ import annotations

import re
import zoneinfo
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictStr, model_validator

UNOWNED = "unowned"
PLATFORM = "driftline"
"""The owner of driftline's own alerts, and the contact that takes what others leave."""
OLDEST = (0, 25)
"""The Alertmanager that everything here runs on, but for what ``Means.needs`` names."""

_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


def _is_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(f'"{value}" is no address, write "https://..."')
    if "@" in parts.netloc:
        raise ValueError("a password has no place in an address: put it into a file and name that")
    return value


def _is_days(value: str) -> str:
    first, _, last = value.partition(":")
    last = last or first
    if first not in _DAYS or last not in _DAYS or _DAYS.index(first) > _DAYS.index(last):
        raise ValueError(f'"{value}" are no days of a week that begins on Sunday, write "monday:friday"')
    return value


def _is_time(value: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d|24:00", value):
        raise ValueError(f'"{value}" is no time of the day, write "09:00"')
    return value


def _is_place(value: str) -> str:
    if value != "UTC" and value not in zoneinfo.available_timezones():
        raise ValueError(f'"{value}" is no time zone, write for instance "Europe/Berlin"')
    return value


Text = Annotated[StrictStr, Field(min_length=1)]
File = Annotated[StrictStr, Field(min_length=1)]
"""A file on Alertmanager's machine: what is secret stands there, never in a configuration."""
Url = Annotated[StrictStr, AfterValidator(_is_url)]
Time = Annotated[StrictStr, AfterValidator(_is_time)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PagerDuty(_Settings):
    """A service of PagerDuty, by its Events API v2."""

    routing_key_file: File


class Slack(_Settings):
    """A channel, by an incoming webhook or the API's address in a file."""

    api_url_file: File
    channel: Text


class Teams(_Settings):
    """A channel of Microsoft Teams, by a workflow's address in a file."""

    webhook_url_file: File


def _is_jira(value: str) -> str:
    if not value.rstrip("/").endswith("/rest/api/2"):
        raise ValueError(
            f'"{value}" is not where Jira\'s API is, write "https://.../rest/api/2": version 2, of a Jira in the cloud too'
        )
    return value


class Jira(_Settings):
    """A project of Jira: one issue an incident, resolved with it where ``resolve_transition`` is given."""

    api_url: Annotated[Url, AfterValidator(_is_jira)]
    project: Text
    issue_type: Text = "Task"
    user: Text | None = None
    token_file: File
    resolve_transition: Text | None = None
    reopen_transition: Text | None = None


class Email(_Settings):
    """An address; the server stands once, under ``alerting.email``."""

    to: Text


class Webhook(_Settings):
    """Anything that takes Alertmanager's own JSON, such as a bridge to ServiceNow."""

    url: Url | None = None
    url_file: File | None = None
    token_file: File | None = None

    @model_validator(mode="after")
    def _one_address(self) -> Webhook:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("give url or url_file, one of them")
        return self


class Means(_Settings):
    """By what a contact is reached: exactly one of these."""

    pagerduty: PagerDuty | None = None
    slack: Slack | None = None
    teams: Teams | None = None
    jira: Jira | None = None
    email: Email | None = None
    webhook: Webhook | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Means:
        if len(self.model_fields_set) != 1 or getattr(self, self.kind) is None:
            raise ValueError(f"give exactly one of {', '.join(type(self).model_fields)}")
        return self

    @property
    def kind(self) -> str:
        """Its name here."""
        return next(iter(self.model_fields_set), "")

    @property
    def needs(self) -> tuple[int, int]:
        """The oldest Alertmanager that knows it."""
        if self.jira or self.teams:
            return 0, 28
        return (0, 26) if self.webhook and self.webhook.url_file else OLDEST


Way = Literal["page", "chat", "ticket", "digest"]
WAYS: tuple[Way, ...] = ("page", "chat", "ticket", "digest")


class Contact(_Settings):
    """How an owner is told. What is left out, ``driftline`` takes."""

    page: Means | None = None
    chat: Means | None = None
    ticket: Means | None = None
    digest: Means | None = None


class Hours(_Settings):
    """When a P2 may page; at other times it waits."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    days: Annotated[StrictStr, AfterValidator(_is_days)] = "monday:friday"
    start: Annotated[Time, Field(alias="from")] = "09:00"
    end: Annotated[Time, Field(alias="to")] = "18:00"
    location: Annotated[StrictStr, AfterValidator(_is_place)] = "UTC"

    @model_validator(mode="after")
    def _forwards(self) -> Hours:
        if self.start >= self.end:
            raise ValueError(f'from "{self.start}" to "{self.end}" is no part of one day')
        return self


class Server(_Settings):
    """The server that takes e-mail."""

    from_: Annotated[Text, Field(alias="from")]
    smarthost: Annotated[StrictStr, Field(pattern=r"^.+:\d+$")]
    username: Text | None = None
    password_file: File | None = None
    require_tls: StrictBool = True


class Alerting(_Settings):
    """The section ``alerting`` of ``driftline.yaml``: who is told.

    ``production`` are the environments that may wake somebody; ``on_call`` names a contact that hears of
    each P1 of tier 1, besides its owner and ``driftline``; ``deadman`` raises the alarm when it is no longer
    called.
    """

    contacts: dict[Text, Contact]
    deadman: Means
    on_call: Text | None = None
    production: Annotated[list[Text], Field(min_length=1)] = ["prod", "production"]
    hours: Hours = Hours()
    email: Server | None = None

    @model_validator(mode="after")
    def _whole(self) -> Alerting:
        platform = self.contacts.get(PLATFORM, Contact())
        if not (platform.page or platform.chat) or not platform.ticket or not platform.digest:
            raise ValueError(
                f"contacts.{PLATFORM}: give page or chat, ticket and digest: what nobody owns goes there"
            )
        if self.on_call is not None and self.on_call not in self.contacts:
            raise ValueError(f"on_call: {self.on_call} is none of contacts: {', '.join(self.contacts)}")
        if UNOWNED in self.contacts:
            raise ValueError(f"contacts.{UNOWNED}: what nobody owns goes to {PLATFORM}")
        if self.email is None and any(means.email for means in self._all()):
            raise ValueError("email: a contact has an address, say which server takes it (smarthost, from)")
        return self

    def _all(self) -> list[Means]:
        ways = [getattr(contact, way) for contact in self.contacts.values() for way in WAYS]
        return [self.deadman, *(means for means in ways if means)]

    def receiver(self, owner: str, way: Way) -> str | None:
        """Return which receiver tells *owner* by *way*; None where page or chat is left out for the other."""
        contact = self.contacts[owner]
        given = contact.page or contact.chat if way in ("page", "chat") else getattr(contact, way)
        holder = owner if given else PLATFORM
        return f"{way}-{holder}" if getattr(self.contacts[holder], way) else None
