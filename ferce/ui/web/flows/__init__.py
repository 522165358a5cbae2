"""What happens on each tab, step by step; a file is named as the tab is."""
