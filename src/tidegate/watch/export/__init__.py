"""Rules for other engines: each replays the rule's tests as that engine counts, or refuses with the reason."""
