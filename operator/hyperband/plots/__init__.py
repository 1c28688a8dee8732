"""Pictures of a study: from its records to plain descriptions of figures, and these drawn."""
