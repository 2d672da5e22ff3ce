"""Moving in and out: what import, export and compare share with no server."""
