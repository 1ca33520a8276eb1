"""Changes of a domain's document, a subject a file: pure, and alike for what is stored and for what runs. Called by service."""
