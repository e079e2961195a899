"""What a network is: one subpackage per kind."""
