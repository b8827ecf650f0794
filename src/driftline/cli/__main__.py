"""``python -m driftline.cli`` is ``driftline``."""

import sys

from driftline.cli import main

sys.exit(main())
