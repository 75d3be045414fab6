"""Search spaces, one TOML file a task; see docs/search.md for their form."""
