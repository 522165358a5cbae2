"""One file a tab; each has NAME and tab(settings, models, sessions)."""
