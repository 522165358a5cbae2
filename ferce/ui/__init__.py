"""The doors: command line and page."""
