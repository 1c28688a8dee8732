"""How good a configuration each method finds, and how soon: ours and the peer's, like with like."""
