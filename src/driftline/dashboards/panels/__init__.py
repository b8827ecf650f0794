"""One file per panel; each says one thing to one audience."""
