"""The REST API: a door without logic of its own."""
