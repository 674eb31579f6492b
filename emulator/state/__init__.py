"""State that outlives a request: the settings, the teams, and the services that every operation uses."""
