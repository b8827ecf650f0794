# ruff: noqa: INP001 - a script of its own, in no package
"""Write the rules in another form: ``python alert-rules/variants.py starter|vmalert FOLDER``.

starter   only what pages, P1 and P2, and the watchdog: alerting rules to load in place of ``alerting/*.yml``
vmalert   every rule, without ``keep_firing_for``, which an old vmalert refuses, such as Debian 12's 1.79
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
_RULE = re.compile(r"\n?(?: {6}#.*\n)* {6}- alert: .*\n(?:(?: {8}.*)?\n)*")
_EXPR = re.compile(r"( {8}expr: )(?:\|\n((?: {10}.*\n)+)|(.*)\n)")


def starter() -> dict[str, str]:
    """Return the text of each file that holds an alert of P1 or P2, by its path."""
    found = {}
    for path in sorted((HERE / "alerting").glob("*.yml")):
        text = _RULE.sub(lambda rule: _paging(rule[0]), path.read_text())
        if "- alert:" in text:
            found[f"alerting/{path.name}"] = re.sub(r"rules:\n\n+", "rules:\n", text)
    return found


def _paging(rule: str) -> str:
    """Return *rule* as far as it pages: whole, less its tickets, or nothing."""
    expr = _EXPR.search(rule)
    label = re.search(r"^ {10}priority: (P\d)$", rule, re.MULTILINE)
    if expr is None or (label is None and "severity: none" in rule):
        return rule
    told = {label[1]} if label else set(re.findall(r'priority(?:", |=)"(P\d)', expr[0]))
    if not told & {"P1", "P2"}:
        return ""
    if not told & {"P3", "P4"}:
        return rule
    inner = "".join(f"  {line}\n" for line in expr[2].splitlines())
    less = " " * 10 + 'unless on (priority) label_replace(vector(1), "priority", "P3", "", "")\n'
    return rule.replace(expr[0], f"{expr[1]}|\n{' ' * 10}(\n{inner}{' ' * 10})\n{less}")


def vmalert() -> dict[str, str]:
    """Return the text of each file without ``keep_firing_for`` and the comment that explains it."""
    paths = sorted([*(HERE / "recording").glob("*.yml"), *(HERE / "alerting").glob("*.yml")])
    return {
        f"{path.parent.name}/{path.name}": re.sub(
            r"(?: {8}#.*\n)* {8}keep_firing_for: .*\n", "", path.read_text()
        )
        for path in paths
    }


if __name__ == "__main__":
    forms = {"starter": starter, "vmalert": vmalert}
    if len(sys.argv) != 3 or sys.argv[1] not in forms:
        sys.exit("say which form and where to: python alert-rules/variants.py starter|vmalert FOLDER")
    for name, content in forms[sys.argv[1]]().items():
        target = Path(sys.argv[2]) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
        sys.stdout.write(f"{target}\n")
