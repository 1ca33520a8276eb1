"""What CPU models are made of. Used by domain/options/cpu and by the service's answers about CPUs."""
