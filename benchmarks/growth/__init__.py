"""How the cost of one decision, and of one appended observation, grows with a study."""
