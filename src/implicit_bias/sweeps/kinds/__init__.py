"""What a sweep of each kind of network may ask for, what is written of it, and what it costs."""
