"""Every way this package has to a Ray."""
