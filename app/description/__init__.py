"""What /openapi.json says beside the table of routes: schemas, parameters, texts, problems and examples."""
