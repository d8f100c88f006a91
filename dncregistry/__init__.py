"""The project: settings, URLs, the REST error shape, and how the process starts."""
