"""What asks the servers, and how the answers are counted."""
