"""Rules that span slices, each named. Called by domain/complete in its order."""
