"""What a suggestion costs as a study grows: time and memory, ours and the peer's alike."""
