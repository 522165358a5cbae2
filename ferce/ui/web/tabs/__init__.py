"""One file a tab: NAME, its layout, and the events that start what is in `flows`."""
