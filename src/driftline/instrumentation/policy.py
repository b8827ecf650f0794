"""Which features may leave the process, and which only as a hash: decided before anything is copied."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from glob import escape
from typing import TYPE_CHECKING

import numpy as np

from driftline.columns import Coded, Column, categories
from driftline.errors import ConfigurationError
from driftline.instrumentation.parts import Columns, Part, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from driftline.embedding import Embedding

HASH_BYTES = 8


@dataclass(frozen=True, slots=True)
class Policy:
    """Patterns of feature names, such as ``card_*``; what the code and the environment say both holds.

    Attributes:
        allowed: Groups of patterns; a feature must match one of each group. None given: all may.
        denied: Features that are not even copied.
        hashed: Features of which only :func:`hashed` text is kept.
        key: Of the hash; without one, who knows the possible values finds them out.
    """

    allowed: tuple[tuple[str, ...], ...] = ()
    denied: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    key: bytes = field(default=b"", repr=False)

    @classmethod
    def load(
        cls,
        *,
        allow: Iterable[str] | None = None,
        deny: Iterable[str] = (),
        hashed: Iterable[str] = (),
        environ: Mapping[str, str] = os.environ,
    ) -> Policy:
        """Return what was given together with ``DRIFTLINE_ALLOW``, ``_DENY``, ``_HASH`` and ``_HASH_KEY``.

        Raises:
            ConfigurationError: One text was given for several.
        """

        def said(name: str) -> tuple[str, ...]:
            return tuple(filter(None, map(str.strip, environ.get(f"DRIFTLINE_{name}", "").split(","))))

        groups = (None if allow is None else patterns("allow", allow), said("ALLOW") or None)
        return cls(
            tuple(group for group in groups if group is not None),
            (*patterns("ignore", deny), *said("DENY")),
            (*patterns("hashed", hashed), *said("HASH")),
            os.fsencode(environ.get("DRIFTLINE_HASH_KEY", "")),
        )

    @property
    def limits(self) -> bool:
        """Whether anything is kept back."""
        return bool(self.allowed or self.denied or self.hashed)

    def plain(self, name: str) -> bool:
        """Tell whether a feature may leave as it is."""
        return self._may(name) and not _matches(name, self.hashed)

    def secret(self, name: str) -> bool:
        """Tell whether a feature may leave as a hash only."""
        return self._may(name) and _matches(name, self.hashed)

    def idle(self, features: Iterable[str]) -> list[str]:
        """Return the patterns that keep back none of these *features*: misspelt, or of a table without names.

        >>> Policy(denied=("card_*", "emial")).idle(["amount", "card_number", "email"])
        ['emial']
        """
        known = tuple(features)
        return [
            one for one in (*self.denied, *self.hashed) if not any(fnmatchcase(name, one) for name in known)
        ]

    def of_embeddings(self, embeddings: Iterable[Embedding]) -> Policy:
        """Return this with nothing leaving of embeddings whose column may not, or as a hash only: a norm is none."""
        barred = (e for e in embeddings if _matches(e.name, (*self.denied, *self.hashed)))
        return replace(self, denied=(*self.denied, *(escape(name) for e in barred for name in e.features)))

    def _may(self, name: str) -> bool:
        return all(_matches(name, group) for group in self.allowed) and not _matches(name, self.denied)

    def hash(self, part: Part) -> Columns:
        """Return the secret columns of *part*, which are this process's own copy, as columns of hashes."""
        columns = {name: self._hash(column) for name, column in part.join([part]).items()}
        hashes = Columns(tuple(columns), list(columns.values()), part.rows, lambda column, _: column)
        hashes.own(None)
        return hashes

    def _hash(self, column: Column) -> Coded:
        read = categories(whole(column))
        codes = np.full(len(column), -1)
        codes[slice(None) if read.rows is None else read.rows] = read.codes
        return Coded(codes, tuple(hashed(text, self.key) for text in read.texts))


def patterns(argument: str, given: Iterable[str]) -> tuple[str, ...]:
    """Return what was *given* as *argument*.

    Raises:
        ConfigurationError: It is one text: its letters would be the patterns, and keep nothing back.
    """
    if isinstance(given, str):
        raise ConfigurationError(f"{argument}: {given!r} is one text; pass a list of names")
    return tuple(given)


def hashed(text: str, key: bytes = b"") -> str:
    """Return what stands for a category that must not leave the process: 16 hex digits of BLAKE2b.

    Treat the training data alike, so that its baseline knows the same categories. A key longer than the 64
    bytes that BLAKE2b takes is hashed itself, as HMAC does, and not cut.

    >>> hashed("de"), hashed("de", b"secret")
    ('f8368f6ae7812f7a', '92b79a0319674f8a')
    """
    if len(key) > hashlib.blake2b.MAX_KEY_SIZE:
        key = hashlib.blake2b(key).digest()
    return hashlib.blake2b(text.encode("utf-8", "replace"), key=key, digest_size=HASH_BYTES).hexdigest()


@lru_cache(maxsize=4096)
def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
