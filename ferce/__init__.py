"""ferce: compound facial expressions, read and explained."""
