"""Where trials run. What a backend does: observe attempts, and make them match the records."""
