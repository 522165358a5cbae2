"""What happens on a tab, event by event."""
