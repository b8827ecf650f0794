"""Which files of tests run here: those of a framework where it is installed."""

from frameworks.subjects import GROUPS, INSTALLED

collect_ignore = [f"test_{framework}.py" for framework in GROUPS if framework not in INSTALLED]
