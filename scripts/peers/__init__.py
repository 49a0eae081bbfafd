"""Other projects' mechanisms, each run in an environment of its own on the same coded table."""
