"""Keys that switch something in one family, by model type."""

SWITCHES: dict[str, dict[str, dict]] = {}
