"""One file a tab: NAME, its layout, and what its events do, step by step."""
