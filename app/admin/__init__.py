"""What operators change: namespaces, profiles, visibility, API keys, dead letters; whether the stores agree."""
