"""HTTP below the routes: connections, one request and its answer, bodies."""
