"""The command line: one file a verb. typer and rich, because people know their look and habits."""
