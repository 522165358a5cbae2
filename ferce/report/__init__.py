"""Readings as files: JSON of one schema, tables, pages, pictures and text."""

from ferce.report.document import JsonWriter, json_schema, photo_to_json, to_json

__all__ = ["JsonWriter", "json_schema", "photo_to_json", "to_json"]
