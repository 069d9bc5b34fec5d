"""What a person's corrections are worth: simulated users and their gains."""
