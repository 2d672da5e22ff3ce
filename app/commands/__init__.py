"""The commands of `leaderboard`, each room of them in a module of its own; app/cli.py lists them."""
